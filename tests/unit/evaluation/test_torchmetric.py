"""Torchmetrics classes against the functional core and against torchmetrics' own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.classification import BinaryAUROC, BinaryCohenKappa, MulticlassAccuracy

from gansfp.evaluation.metrics import membership_metrics
from gansfp.evaluation.torchmetric import AttributionMetrics, MembershipMetrics, task_metrics


def _sample(n=200):
    rng = np.random.default_rng(0)
    truth = torch.tensor(rng.integers(0, 2, n))
    return torch.tensor(rng.beta(2, 2, n)) * 0.7 + 0.3 * truth * rng.random(), truth


def _filled(metric, score, truth, batch):
    for start in range(0, len(score), batch):
        metric.update(score[start : start + batch], truth[start : start + batch])
    return metric.compute()


def test_equals_torchmetrics_on_probabilities():
    score, truth = _sample()
    ours = _filled(MembershipMetrics(), score, truth, 32)
    auroc, kappa = BinaryAUROC(), BinaryCohenKappa()
    assert ours["auroc"] == pytest.approx(auroc(score, truth).item(), abs=1e-6)
    assert ours["kappa"] == pytest.approx(kappa(score, truth).item(), abs=1e-6)


@pytest.mark.parametrize(("scale", "shift"), [(1e3, 0.0), (1.0, 1e4), (1e-9, 0.0), (40.0, -20.0)])
@pytest.mark.parametrize("batch", [1, 7, 200])
def test_auroc_depends_on_neither_scale_nor_batches(scale, shift, batch):
    score, truth = _sample()
    expected = membership_metrics(truth, (score >= 0.5).int(), score)["auroc"]
    moved = score * scale + shift
    ours = _filled(MembershipMetrics(threshold=None), moved, truth, batch)
    assert ours["auroc"] == pytest.approx(expected, abs=1e-6)


def test_torchmetrics_own_does_depend_on_the_scale():
    score, truth = _sample()
    own = _filled(BinaryAUROC(), (score * 1e3).float(), truth, 7)
    assert abs(own.item() - BinaryAUROC()(score, truth).item()) > 0.01


def test_stages_are_separate_clones():
    score, truth = _sample()
    base = MembershipMetrics(prefix="train/")
    base.update(score, truth)
    stage = base.for_stage("val/")
    stage.update(-score, truth)
    assert stage.compute()["val/auroc"] == pytest.approx(1 - base.compute()["train/auroc"].item())
    assert base.higher_is_better


def test_half_precision_and_synced_states_are_read():
    score, truth = _sample()
    metric = MembershipMetrics()
    metric.update(score.bfloat16(), truth)
    metric.score = metric.score[0]  # what a sync across processes leaves
    metric.truth = metric.truth[0]
    assert 0.5 < metric.compute()["auroc"] < 1.0
    assert all(
        fx is torch.cat or fx.__name__ == "dim_zero_cat" for fx in metric._reductions.values()
    )


def test_attribution_equals_torchmetrics():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(90, 3, generator=generator)
    truth = torch.randint(0, 3, (90,), generator=generator)
    ours = _filled(AttributionMetrics(["t1", "t2", "t3"], prefix="val/"), logits, truth, 16)
    micro, macro = MulticlassAccuracy(3, average="micro"), MulticlassAccuracy(3, average="macro")
    assert ours["val/accuracy"] == pytest.approx(micro(logits, truth).item())
    assert ours["val/recall_macro"] == pytest.approx(macro(logits, truth).item())


def test_best_cuts_where_kappa_is_best():
    score, truth = _sample()
    found = _filled(MembershipMetrics("best"), score * 1e3, truth, 32)
    cuts = [membership_metrics(truth, (score >= cut).int())["kappa"] for cut in score]
    assert found["kappa"] == pytest.approx(max(cuts), abs=1e-6)


def test_each_task_has_its_metrics():
    assert isinstance(task_metrics("membership", ()), MembershipMetrics)
    assert task_metrics("attribution", ("t1", "t2")).classes == ("t1", "t2")
