"""Sets of equal content: by hand, and on a planted confound."""

from __future__ import annotations

import numpy as np
import pytest

from gansfp.evaluation.content import content, matched_sets, told_by_content


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


def test_matching_takes_a_planted_confound_away() -> None:
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(3), 200)
    described = rng.normal(size=(600, 2)) + 0.8 * targets[:, None]
    before = told_by_content(described, targets, np.arange(600))
    sets = matched_sets(described, targets, 0.3)
    assert sets.shape == (60, 3)
    assert len(np.unique(sets)) == 180
    assert (targets[sets] == np.arange(3)).all()
    after = told_by_content(
        described[sets.ravel()], targets[sets.ravel()], np.repeat(np.arange(60), 3)
    )
    assert before > 0.55
    assert after < 1 / 3 + 3 * (2 / 9 / 180) ** 0.5


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="share=0"):
        matched_sets(np.zeros((2, 1)), np.array([0, 1]), 0.0)
    with pytest.raises(ValueError, match="1 classes"):
        matched_sets(np.zeros((2, 1)), np.array([0, 0]))
