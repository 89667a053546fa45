"""Attribution of sets, by hand and by theory."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import norm

from gansfp.evaluation.pooling import FLOOR, pooled_accuracy


def test_by_hand() -> None:
    # Class 0: one image in two is right, but the pair is (0.9 * 0.3 > 0.1 * 0.7).
    # Class 1: likewise, but the pair is not (0.4 * 0.51 < 0.6 * 0.49).
    p = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4], [0.49, 0.51]])
    found = pooled_accuracy(p, np.array([0, 0, 1, 1]), (2, 3), draws=20)
    assert found == {2: 0.5}


def test_one_image_is_the_mean_recall() -> None:
    rng = np.random.default_rng(0)
    p, targets = softmax(rng.standard_normal((60, 3)), axis=1), np.repeat([0, 1, 2], [10, 20, 30])
    right = p.argmax(axis=1) == targets
    recall = np.mean([right[targets == k].mean() for k in range(3)])
    assert pooled_accuracy(p, targets, (1,), draws=20000)[1] == pytest.approx(recall, abs=0.01)


def test_all_sets_of_three() -> None:
    rng = np.random.default_rng(1)
    p, targets = softmax(rng.standard_normal((12, 2)), axis=1), np.repeat([0, 1], 6)
    shares = []
    for k in range(2):
        rows = np.flatnonzero(targets == k)
        products = np.array([p[list(c)].prod(axis=0) for c in combinations(rows, 3)])
        shares.append((products.argmax(axis=1) == k).mean())
    found = pooled_accuracy(p, targets, (3,), draws=20000)[3]
    assert found == pytest.approx(np.mean(shares), abs=0.015)


def test_evidence_adds_up_as_normal_theory_says() -> None:
    # Two normal classes d apart: n images are told apart with probability Phi(d sqrt(n) / 2).
    rng, d = np.random.default_rng(2), 0.5
    targets = np.repeat([0, 1], 4000)
    x = rng.standard_normal(8000) + d * targets
    p = softmax(np.stack([np.zeros(8000), d * x - d * d / 2], axis=1), axis=1)
    found = pooled_accuracy(p, targets, (1, 4, 16), draws=4000)
    for n, value in found.items():
        assert value == pytest.approx(norm.cdf(d * np.sqrt(n) / 2), abs=0.025)


def test_a_zero_does_not_veto() -> None:
    p = np.array([[0.0, 1.0], [0.999, 0.001], [0.999, 0.001], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    assert pooled_accuracy(p, np.array([0, 0, 0, 1, 1, 1]), (3,), draws=5) == {3: 1.0}
    assert FLOOR > 0
