"""Sets of equal content: by hand, and on a planted confound."""

from __future__ import annotations

import numpy as np
import pytest

from gansfp.evaluation.content import content, content_evidence, matched_sets


def test_means_over_a_grid() -> None:
    image = np.zeros((1, 4, 4), np.uint8)
    image[0, :2, 2:] = 255
    image[0, 3, 0] = 51
    np.testing.assert_allclose(content(image, 2), [[0, 1, 0.05, 0]], atol=1e-7)


def test_sets_by_hand() -> None:
    described = np.array([[0.0], [10.0], [20.0], [9.0], [1.5], [50.0]])
    targets = np.array([0, 0, 0, 1, 1, 1])
    # 10 with 9 costs 1, 0 with 1.5 costs 1.5; 20 is left with 50.
    assert matched_sets(described, targets, 1.0).tolist() == [[1, 3], [0, 4], [2, 5]]
    assert matched_sets(described, targets, 0.5).tolist() == [[1, 3], [0, 4]]
    assert matched_sets(described, targets, 0.1).tolist() == [[1, 3]]


def test_a_set_costs_its_worst_member() -> None:
    described = np.array([[0.0], [5.0], [0.1], [5.2], [3.0], [5.3]])
    targets = np.array([0, 0, 1, 1, 2, 2])
    assert matched_sets(described, targets, 0.5).tolist() == [[1, 3, 5]]  # not 0, 0.1 and 3


def test_evidence_by_hand() -> None:
    known, targets = np.array([[0.0], [4.0], [10.0]]), np.array([0, 0, 1])
    logs = -np.log([[1.0, 5.0]])
    found = content_evidence(np.array([[5.0]]), known, targets)
    np.testing.assert_allclose(found, logs - logs.mean())


def test_matching_takes_content_away_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(3), 400)
    known = rng.normal(size=(300, 2))
    asked = rng.normal(size=(1200, 2))
    for k in range(3):  # samples lie near the real images of their class
        asked[targets == k] = known[k * 100 + rng.integers(100, size=400)]
    asked += rng.normal(scale=0.1, size=asked.shape)
    evidence = content_evidence(asked, known, np.repeat(np.arange(3), 100))
    fingerprint = np.where(rng.random(1200) < 0.7, targets, rng.integers(3, size=1200))
    sets = matched_sets(evidence, targets, 0.25)
    assert sets.shape == (100, 3)
    assert len(np.unique(sets)) == 300
    assert (targets[sets] == np.arange(3)).all()
    chosen = sets.ravel()
    assert (evidence.argmax(axis=1) == targets).mean() > 0.5
    assert (evidence[chosen].argmax(axis=1) == targets[chosen]).mean() < 0.37
    assert (fingerprint[chosen] == targets[chosen]).mean() == pytest.approx(0.8, abs=0.07)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="share=0"):
        matched_sets(np.zeros((2, 1)), np.array([0, 1]), 0.0)
    with pytest.raises(ValueError, match="1 classes"):
        matched_sets(np.zeros((2, 1)), np.array([0, 0]))
