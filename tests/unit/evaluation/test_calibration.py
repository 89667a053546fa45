"""Calibration and open-set rejection by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from gansfp.evaluation.calibration import calibration_error, reliability
from gansfp.evaluation.intervals import wilson
from gansfp.evaluation.openset import false_acceptance, open_set, rejection_threshold


def sure(confidence: list[float]) -> np.ndarray:
    """Probabilities of two classes, the first one favoured."""
    p = np.array(confidence)
    return np.stack([p, 1 - p], axis=1)


def test_reliability_by_hand() -> None:
    # Bins of a fifth: 0.62 and 0.78 in (0.6, 0.8], 0.8 too; 0.95, 0.97 and 1.0 in (0.8, 1].
    p = sure([0.62, 0.78, 0.8, 0.95, 0.97, 1.0])
    targets = np.array([0, 1, 1, 0, 0, 1])
    low, high = reliability(p, targets, bins=5)
    assert (low.n, high.n) == (3, 3)
    assert low.confidence == pytest.approx(2.2 / 3)
    assert high.confidence == pytest.approx(2.92 / 3)
    assert (low.accuracy, low.low, low.high) == wilson(1, 3)
    assert high.accuracy == pytest.approx(2 / 3)


def test_calibration_error_is_the_weighed_gap_of_the_diagram() -> None:
    rng = np.random.default_rng(0)
    p = softmax(rng.normal(size=(500, 4)) * 2, axis=1)
    targets = rng.integers(4, size=500)
    bins = reliability(p, targets, bins=15)
    gaps = sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / 500
    assert calibration_error(p, targets, bins=15) == pytest.approx(gaps, abs=1e-6)


def test_calibrated_probabilities_have_next_to_no_error_and_sharpened_ones_do() -> None:
    rng = np.random.default_rng(1)
    p = softmax(rng.normal(size=(20_000, 3)), axis=1)
    targets = (rng.random((20_000, 1)) > p.cumsum(axis=1)).sum(axis=1)
    assert calibration_error(p, targets) < 0.015
    sharp = p**3 / (p**3).sum(axis=1, keepdims=True)
    assert calibration_error(sharp, targets) > 0.15


def test_the_threshold_keeps_the_share_of_known_images() -> None:
    p = sure(np.linspace(0.51, 0.7, 20).tolist())
    assert rejection_threshold(p, 0.95) == pytest.approx(0.52)
    assert rejection_threshold(p, 1.0) == pytest.approx(0.51)
    for kept in (0.5, 0.8, 0.9, 0.95):
        assert (p.max(axis=1) >= rejection_threshold(p, kept)).mean() == pytest.approx(kept)
    with pytest.raises(ValueError, match="0 images"):
        rejection_threshold(p[:0])


def test_open_set_by_hand() -> None:
    known, unknown = sure([0.9, 0.8, 0.7, 0.6]), sure([0.65, 0.55, 0.75])
    found = open_set(known, np.array([0, 0, 1, 0]), unknown, threshold=0.7)
    assert found.known_kept == 0.75
    assert found.known_right == 0.5  # of the three kept, the third is wrong
    assert found.unknown_rejected == pytest.approx(2 / 3)
    confidence = np.concatenate([known, unknown]).max(axis=1)
    assert found.auroc.value == pytest.approx(roc_auc_score([1] * 4 + [0] * 3, confidence))


def test_false_acceptance_by_hand() -> None:
    known = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]])
    unknown = np.array([[0.65, 0.35], [0.75, 0.25], [0.5, 0.5], [0.1, 0.9]])
    # Three of four known ones have at least 0.7, all have 0.6.
    assert false_acceptance(known, unknown, 0.75).value == 0.5
    assert false_acceptance(known, unknown).value == 0.75
    assert false_acceptance(known, unknown, 0.75)[:] == wilson(2, 4)[:]
