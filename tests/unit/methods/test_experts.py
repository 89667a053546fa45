"""The mixture of experts: fusion by hand, gradients, entropy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting import predicted, quiet_trainer
from small import small_model
from torch.nn import functional as F

from gansfp.data.pairs import Images
from gansfp.errors import UserError
from gansfp.features import backbones
from gansfp.methods.experts.module import ExpertsModule
from gansfp.methods.experts.network import GatedAttentionFusion, MixtureOfExperts, gate_entropy


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "build_model", small_model)


@pytest.fixture
def mixture() -> MixtureOfExperts:
    torch.manual_seed(0)
    names = ["resnet50", "efficientnet_b0", "vit_base_patch16_224"]
    return MixtureOfExperts(names, "none", width=96, hidden=16, heads=8)


def _images(n: int = 4) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (n, 32, 32), dtype=torch.uint8, generator=generator)


def test_fusion_by_hand() -> None:
    torch.manual_seed(0)
    fusion = GatedAttentionFusion([16, 6, 10], width=16, hidden=5, heads=8).double()
    vectors = [torch.randn(3, dim, dtype=torch.float64) for dim in (16, 6, 10)]
    fused, weights = fusion(vectors)
    tokens = torch.stack(
        [vectors[0], fusion.adapters[1](vectors[1]), fusion.adapters[2](vectors[2])], dim=1
    )
    tokens = F.normalize(tokens, dim=2)
    expected = fusion.gate(tokens.reshape(3, 48)).softmax(dim=1)
    torch.testing.assert_close(weights, expected)
    # Attention of 8 heads of 2 dimensions, from the projections that torch's module holds.
    attention = fusion.attention
    query, key, value = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias).chunk(
        3, dim=2
    )
    heads = [x.view(3, 3, 8, 2).transpose(1, 2) for x in (query, key, value)]
    shares = (heads[0] @ heads[1].transpose(2, 3) / 2**0.5).softmax(dim=3)
    mixed = attention.out_proj((shares @ heads[2]).transpose(1, 2).reshape(3, 3, 16))
    torch.testing.assert_close(fused, (weights[:, :, None] * mixed).sum(dim=1))


def test_gate_weights_sum_to_one_and_every_expert_learns(mixture: MixtureOfExperts) -> None:
    fused, weights = mixture(_images())
    assert fused.shape == (4, 96)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4))
    assert (weights > 0).all()
    fused.square().sum().backward()
    for expert in mixture.experts:
        gradients = [p.grad.abs().sum() for p in expert.parameters() if p.grad is not None]
        assert sum(gradients) > 0
    for part in (mixture.fusion.adapters[1], mixture.fusion.adapters[2], mixture.fusion.gate):
        assert all(p.grad.abs().sum() > 0 for p in part.parameters())


def test_one_expert_is_its_backbone() -> None:
    alone = MixtureOfExperts(["resnet50"], "none").eval()
    fused, weights = alone(_images())
    torch.testing.assert_close(fused, alone.experts[0](_images()))
    torch.testing.assert_close(weights, torch.ones(4, 1))
    assert alone.fusion is None


def test_without_attention_the_vectors_are_summed(mixture: MixtureOfExperts) -> None:
    mixture.eval()
    fused, weights = mixture(_images(), attend=False)
    vectors = [expert(_images()) for expert in mixture.experts]
    adapted = [a(v) for a, v in zip(mixture.fusion.adapters, vectors, strict=True)]
    expected = sum(weights[:, i : i + 1] * adapted[i] for i in range(3))
    torch.testing.assert_close(fused, expected)


def test_entropy_of_the_gate() -> None:
    torch.testing.assert_close(gate_entropy(torch.full((2, 4), 0.25)), torch.tensor(4.0).log())
    torch.testing.assert_close(gate_entropy(torch.tensor([[1.0, 0.0]])), torch.tensor(0.0))


def test_frozen_experts_stay() -> None:
    frozen = MixtureOfExperts(["resnet50"], "none", frozen=True).train()
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    frozen(_images())
    assert not frozen.fine_tuned()
    for name, value in frozen.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_impossible_values_name_their_key() -> None:
    with pytest.raises(UserError, match=r"method.heads=7: must divide method.width=96"):
        GatedAttentionFusion([3, 4], width=96, heads=7)
    with pytest.raises(UserError, match=r"method.experts=resnet50: give a list"):
        MixtureOfExperts("resnet50", "none")


def _classifier(data: Any, **options: Any) -> ExpertsModule:
    torch.manual_seed(0)
    benchmark = data.benchmark
    small = {"weights": "none", "width": 16, "gate_hidden": 8}
    classes = list(benchmark.classes) or None
    return ExpertsModule(task=benchmark.task, classes=classes, **{**small, **options})


def test_frozen_transfer_trains_the_head_alone(membership: Any) -> None:
    membership._sampling = Images(batch_size=6)
    module = _classifier(membership, experts=["resnetv2_50"], frozen=True, hidden=[8], lr=1e-2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trainer = quiet_trainer(max_epochs=2)
    trainer.fit(module, membership)
    moved = {n for n, value in module.state_dict().items() if not torch.equal(value, before[n])}
    assert moved
    assert all(name.startswith("head.") for name in moved)
    (optimiser,) = trainer.optimizers
    assert type(optimiser) is torch.optim.AdamW
    assert len(optimiser.param_groups) == 1


@pytest.mark.parametrize("task", ["membership", "attribution"])
def test_experts_classify_in_both_tasks(task: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue(task)
    benchmark = data.benchmark
    rows = np.concatenate([benchmark.candidates("train"), benchmark.candidates("test")])
    bright = {}
    for row in rows:  # each class has a grey level of its own, test images go round the classes
        label = benchmark.labels(np.array([row]))[0]
        names = list(benchmark.classes) or ["not_used", "used"]
        kind = names.index(label) if label else int(row) % len(names)
        bright[int(row)] = kind
        noise = np.random.default_rng(row).integers(-9, 10, (8, 8))
        benchmark.store.pixels[row] = 40 + 80 * kind + noise
    role = "generated" if task == "attribution" else None
    data._sampling = Images(batch_size=12, role=role)
    module = _classifier(data, experts=["resnet50", "efficientnet_b0"], lr=3e-3, backbone_lr=3e-3)
    trainer = quiet_trainer(max_epochs=25)
    trainer.fit(module, data)
    rates = [group["lr"] for group in trainer.optimizers[0].param_groups]
    assert rates == [3e-3, 3e-3]
    test = benchmark.candidates("test")
    got = predicted(module, data, test)
    truth = np.array([bright[int(row)] for row in test])
    if task == "membership":
        assert got.shape == truth.shape
        assert got[truth == 1].min() > got[truth == 0].max()
    else:
        np.testing.assert_allclose(got.sum(axis=1), 1)
        assert (got.argmax(axis=1) == truth).mean() > 0.8
