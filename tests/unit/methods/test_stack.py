"""The stack against its formulas, saved and loaded, and with labels that say nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from gansfp.errors import UserError
from gansfp.features.representations import NCC
from gansfp.methods.density.estimator import DensityEstimator
from gansfp.methods.distance.estimator import DistanceEstimator
from gansfp.methods.patches.estimator import PatchEstimator
from gansfp.methods.probe.estimator import ProbeEstimator
from gansfp.methods.stack.combining import Logistic, mean_rank
from gansfp.methods.stack.estimator import StackEstimator

Data = Any


def members() -> dict[str, Any]:
    return {
        "pool": DistanceEstimator(NCC(), statistic="pool_ratio", pool="labelled"),
        "lof": DistanceEstimator(statistic="lof", k=3),
        "density": DensityEstimator(components=1, folds=3),
        "patches": PatchEstimator(window=0.5, grid=1, against="labelled"),
        "none": None,
    }


def test_mean_rank_is_bordas_count() -> None:
    known = np.random.default_rng(0).integers(0, 9, (50, 3)).astype(float)
    expected = np.mean([(rankdata(column) - 0.5) / 50 for column in known.T], axis=0)
    np.testing.assert_allclose(mean_rank(known, known), expected)
    np.testing.assert_allclose(mean_rank(1e6 * known, 1e6 * known), expected)
    assert mean_rank(np.full((1, 3), 99.0), known) == 1


def test_logistic_finds_the_attack_that_works_and_no_scale_matters() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], 100)
    scores = rng.normal(size=(200, 4))
    scores[:, 2] += 1.5 * labels
    groups = np.arange(200).astype(str)
    model = Logistic.fit(scores[::2], labels[::2], groups[::2])
    assert model.weights.argmax() == 2
    held = model.score(scores[1::2])
    assert roc_auc_score(labels[1::2], held) > 0.8
    factor = np.array([1e-6, 1, 1e6, 3])
    scaled = Logistic.fit(scores[::2] * factor, labels[::2], groups[::2])
    np.testing.assert_allclose(scaled.score(scores[1::2] * factor), held, atol=1e-6)


def test_shuffled_labels_teach_nothing() -> None:
    areas = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        scores, labels = rng.normal(size=(200, 9)), rng.permutation(np.repeat([1, 0], 100))
        groups = np.arange(200).astype(str)
        model = Logistic.fit(scores[:100], labels[:100], groups[:100])
        areas.append(roc_auc_score(labels[100:], model.score(scores[100:])))
    assert abs(np.mean(areas) - 0.5) < 4 * 0.058 / np.sqrt(20)


@pytest.mark.parametrize("rule", ["borda", "logistic"])
def test_scores_and_saved_state(membership: Data, rule: Any, tmp_path: Path) -> None:
    if rule == "logistic":  # folds need five patients a label
        frame = membership.benchmark.index.frame
        frame["group"] = frame["sample_id"]
    method = StackEstimator(members(), rule).fit(membership)
    rows = membership.benchmark.candidates("test")
    columns = [member.fit(membership).predict(membership, rows) for member in _present()]
    known = [
        member.fit(membership).predict(membership, membership.fit_rows) for member in _present()
    ]
    scores = method.predict(membership, rows)
    if rule == "borda":
        np.testing.assert_allclose(scores, mean_rank(np.stack(columns, 1), np.stack(known, 1)))
    method.save(tmp_path)
    loaded = StackEstimator.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(membership, rows), scores)
    assert loaded.fits_labels == (rule == "logistic")
    assert not loaded.transductive
    assert StackEstimator({"all": DistanceEstimator(statistic="pool_ratio")}).transductive


def _present() -> list[Any]:
    return [member for member in members().values() if member is not None]


def test_wrong_members_are_named() -> None:
    with pytest.raises(UserError, match="0 attacks, choose 1 to 10"):
        StackEstimator({"none": None})  # type: ignore[dict-item]
    with pytest.raises(UserError, match=r"method.members.odd"):
        StackEstimator({"odd": ProbeEstimator()})
    with pytest.raises(UserError, match=r"method.rule=mean"):
        StackEstimator(members(), "mean")  # type: ignore[arg-type]
