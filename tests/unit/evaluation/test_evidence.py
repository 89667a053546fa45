"""Curves, bands and reliability against independent implementations and formulas by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as sklearn_roc

from gansfp.evaluation.evidence import (
    Evidence,
    binned,
    chance_band,
    read_evidence,
    reliability,
    roc_curve,
)
from gansfp.evaluation.fingerprint import compare_sets, newcombe_difference
from gansfp.evaluation.intervals import wilson
from gansfp.tables import write_table


def membership(truth, score, validation=None, groups=None):
    names = np.array([f"image_{k}" for k in range(len(score))])
    table = pd.DataFrame({"sample_id": names, "group": names if groups is None else groups})
    table = table.assign(score=score, decision=(np.asarray(score) > 0).astype(int))
    known = None if truth is None else np.asarray(truth)
    return Evidence("membership", table, known, validation, groups)


@pytest.mark.parametrize("decimals", [8, 1])  # without and with ties
def test_the_roc_curve_is_scikit_learns(decimals: int) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    score = (rng.standard_normal(200) + 0.5 * truth).round(decimals)
    fpr, tpr = roc_curve(truth, score)
    expected_fpr, expected_tpr, _ = sklearn_roc(truth, score, drop_intermediate=False)
    np.testing.assert_allclose(fpr, expected_fpr)
    np.testing.assert_allclose(tpr, expected_tpr)
    assert np.trapezoid(tpr, fpr) == pytest.approx(roc_auc_score(truth, score))


def test_the_chance_band_is_where_guesses_lie() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1], 150)
    band = chance_band(membership(truth, rng.standard_normal(300)), permutations=4000)
    spread = np.sqrt((300 + 1) / (12 * 150 * 150))  # Mann and Whitney, no ties
    np.testing.assert_allclose(band["auroc"], (0.5 - 1.96 * spread, 0.5 + 1.96 * spread), atol=0.01)
    np.testing.assert_allclose(
        band["kappa"], (-1.96 / np.sqrt(300), 1.96 / np.sqrt(300)), atol=0.02
    )


def test_the_chance_band_keeps_patients_whole() -> None:
    rng = np.random.default_rng(2)
    groups = np.repeat([f"patient_{k}" for k in range(30)], 10)
    truth = np.repeat(np.tile([0, 1], 15), 10)
    score = np.repeat(rng.standard_normal(30), 10)
    alone = chance_band(membership(truth, score))["auroc"]
    whole = chance_band(membership(truth, score, groups=groups))["auroc"]
    assert whole[1] - whole[0] > 2.5 * (alone[1] - alone[0])  # sqrt(10) in the limit


def test_the_chance_band_of_attribution() -> None:
    truth = np.repeat(["a", "b", "c", "d"], 100).astype(object)
    names = [str(k) for k in range(400)]
    decision = np.tile(["a", "b", "c", "d"], 100)
    table = pd.DataFrame({"sample_id": names, "group": names, "decision": decision,
                          **{f"p_{c}": 0.25 for c in "abcd"}})  # fmt: skip
    low, high = chance_band(Evidence("attribution", table, truth, None, None))["accuracy"]
    assert (low + high) / 2 == pytest.approx(0.25, abs=0.01)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 * 0.75 / 400), rel=0.1)
    assert chance_band(Evidence("attribution", table, None, None, None)) == {}


def test_bins_hold_what_they_should() -> None:
    found = binned([0.05, 0.05, 0.95, 1.0, 0.55], [0, 1, 1, 1, 0], bins=10)
    assert found.claimed == pytest.approx([0.05, 0.55, 0.975])
    assert found.observed == [0.5, 0.0, 1.0]
    assert found.n == [2, 1, 2]
    assert (found.low[0], found.high[0]) == wilson(1, 2)[1:]
    by_image = (2 * 0.45 + 1 * 0.55 + 2 * 0.025) / 5
    assert found.error == pytest.approx(by_image)


def test_a_calibrated_score_is_reliable_and_a_shifted_one_is_not() -> None:
    rng = np.random.default_rng(3)

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        truth = rng.integers(0, 2, n)
        return truth, rng.standard_normal(n) + 1.5 * truth

    known_truth, known_score = drawn(4000)
    validation = pd.DataFrame({"label": known_truth, "score": known_score, "in_sample": False})
    truth, score = drawn(4000)
    good = reliability(membership(truth, score, validation))
    shifted = reliability(membership(truth, score + 2.0, validation))
    assert good is not None
    assert shifted is not None
    assert good.error < 0.03
    assert shifted.error > 0.2
    assert reliability(membership(truth, score, validation.assign(in_sample=True))) is None
    assert reliability(membership(truth, score)) is None
    assert reliability(membership(None, score, validation)) is None


def test_a_folder_without_tables_or_truth_shows_what_it_has(tmp_path: Path) -> None:
    assert read_evidence(tmp_path) is None
    table = membership(None, [0.5, -0.5]).test
    write_table(table, tmp_path / "predictions" / "test.parquet")
    found = read_evidence(tmp_path)  # no config.yaml: the truth cannot be found
    assert found is not None
    assert (found.task, found.truth, found.validation, found.groups) == (
        "membership", None, None, None)  # fmt: skip


def test_newcombes_interval_is_the_published_one() -> None:
    # Newcombe (1998, Statistics in Medicine 17:873), table II, method 10, contrast (a).
    found = newcombe_difference((56, 70), (48, 80))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(
    ("own", "other", "knows"),
    [
        ((127, 200), (137, 200), "patients"),  # experiments/embedded_attribution: nearest real
        ((75, 200), (42, 200), "generator"),  # wavelet fingerprint, less the real mean
        ((118, 200), (91, 200), "both"),  # wavelet fingerprint
        ((45, 200), (45, 200), "neither"),  # radial spectrum
    ],
)
def test_what_a_method_knows(own: tuple[int, int], other: tuple[int, int], knows: str) -> None:
    found = compare_sets(own, other, 0.2)
    assert found.knows == knows
    assert found.loss.value == pytest.approx((own[0] - other[0]) / 200)
