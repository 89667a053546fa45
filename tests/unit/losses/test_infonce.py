"""InfoNCE and the supervised contrastive loss against formulas and pytorch-metric-learning."""

from __future__ import annotations

import numpy as np
import torch
from pytorch_metric_learning.losses import NTXentLoss
from torch.nn import functional as F

from gansfp.losses.dclgan import PatchNCE
from gansfp.losses.infonce import InfoNCE
from gansfp.losses.supcon import SupCon


def _unit(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def test_several_positives_by_hand() -> None:
    query, positives, own = _unit(4, 8), _unit(4, 3, 8, seed=1), _unit(4, 2, 8, seed=2)
    shared, heat = _unit(5, 8, seed=3), torch.tensor([0.1, 0.2, 0.5, 1.0], dtype=torch.float64)
    terms = []
    for i in range(4):
        q = query[i].numpy()
        good = np.exp(positives[i].numpy() @ q / heat[i].item()).sum()
        bad = np.exp(np.concatenate([own[i], shared]) @ q / heat[i].item()).sum()
        terms.append(-np.log(good / (good + bad)))
    got = InfoNCE()(query, positives, heat, own, shared)
    np.testing.assert_allclose(got.item(), np.mean(terms), rtol=1e-12)


def test_one_positive_is_nt_xent() -> None:
    query, keys, earlier = _unit(6, 8), _unit(6, 8, seed=1), _unit(9, 8, seed=2)
    got = InfoNCE()(query, keys.unsqueeze(1), 0.2, shared=earlier)
    # Each query's label is its key's; the queue has labels of its own. The reference pairs every
    # query with every key, so the others' keys are taken out: each query is given its own alone.
    library = NTXentLoss(temperature=0.2)
    each = [
        library(
            query[i : i + 1],
            torch.tensor([0]),
            ref_emb=torch.cat([keys[i : i + 1], earlier]),
            ref_labels=torch.arange(10),
        )
        for i in range(6)
    ]
    torch.testing.assert_close(got, torch.stack(each).mean())


def test_half_precision_is_widened() -> None:
    query, positives = _unit(3, 8).bfloat16(), _unit(3, 2, 8, seed=1).bfloat16()
    got = InfoNCE()(query, positives, 0.05, shared=_unit(7, 8).bfloat16())
    assert got.dtype == torch.float32
    assert torch.isfinite(got)


def test_autocast_leaves_the_losses_in_single_precision() -> None:
    query, positives, shared = (_unit(*s).float() for s in ((6, 32), (6, 2, 32), (40, 32)))
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    losses = [
        lambda: InfoNCE()(query, positives, 0.05, positives, shared),
        lambda: SupCon(0.05)(query, labels),
        lambda: PatchNCE(0.05)(positives.transpose(0, 1), positives.roll(1, 0).transpose(0, 1)),
    ]
    for loss in losses:
        wanted = loss()
        with torch.autocast("cpu", torch.bfloat16):
            assert (query @ query.T).dtype == torch.bfloat16
            torch.testing.assert_close(loss(), wanted, rtol=1e-6, atol=0)


def test_supervised_contrastive_by_hand() -> None:
    x, labels, heat = _unit(7, 5), torch.tensor([0, 0, 1, 1, 1, 2, 0]), 0.1
    similarity = (x @ x.T).numpy() / heat
    terms = []
    for i in range(7):
        others = [j for j in range(7) if j != i]
        same = [j for j in others if labels[j] == labels[i]]
        if same:
            total = np.log(np.exp(similarity[i, others]).sum())
            terms.append(np.mean([total - similarity[i, j] for j in same]))
    # Images without a partner do not count (pytorch-metric-learning's mean over non-zero losses).
    np.testing.assert_allclose(SupCon(heat)(x, labels).item(), np.mean(terms), rtol=1e-9)


def test_no_pair_costs_nothing() -> None:
    x = _unit(3, 4).requires_grad_()
    SupCon()(x, torch.arange(3)).backward()
    torch.testing.assert_close(x.grad, torch.zeros_like(x))
