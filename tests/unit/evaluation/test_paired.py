"""Paired comparisons against statsmodels, scikit-learn and their definitions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from gansfp.evaluation.intervals import delong_variance
from gansfp.evaluation.paired import (
    compare_accuracy,
    compare_auroc,
    compare_membership,
    mcnemar,
)


def _pair(seed, n=60):
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat([1, 0], n // 2))
    shared = rng.normal(size=n)
    first = (shared + rng.normal(size=n) + truth).round(1)
    return truth, first, shared + rng.normal(size=n)


@pytest.mark.parametrize("seed", range(4))
def test_mcnemar_equals_statsmodels(seed):
    truth, first, second = _pair(seed)
    a, b = (first > 0.5) == truth, (second > 0.5) == truth
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    expected = statsmodels_mcnemar(table, exact=True).pvalue
    assert mcnemar(truth, first > 0.5, second > 0.5) == pytest.approx(expected)


def _kernel(truth, score):
    member, other = score[truth == 1], score[truth == 0]
    return (member[:, None] > other) + 0.5 * (member[:, None] == other)


@pytest.mark.parametrize("seed", range(4))
def test_paired_delong_is_its_definition(seed):
    truth, first, second = _pair(seed)
    delta = _kernel(truth, first) - _kernel(truth, second)
    variance = sum(v.var(ddof=1) / len(v) for v in (delta.mean(0), delta.mean(1)))
    found = compare_auroc(truth, first, second)
    assert found.value == pytest.approx(roc_auc_score(truth, first) - roc_auc_score(truth, second))
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * np.sqrt(variance))
    back = compare_auroc(truth, second, first)
    assert (back.value, back.p) == pytest.approx((-found.value, found.p))


def test_clustered_paired_delong_of_copies_is_that_of_the_originals():
    truth, first, second = _pair(0)
    groups = np.repeat(np.arange(60), 4)
    copies = [np.repeat(values, 4) for values in (truth, first, second)]
    assert compare_auroc(*copies, groups) == pytest.approx(compare_auroc(truth, first, second))
    against_constant = compare_auroc(truth, first, np.zeros(60))
    half = 1.959964 * np.sqrt(delong_variance(truth, first)[1])
    assert against_constant.high - against_constant.value == pytest.approx(half)


def test_a_method_does_not_differ_from_itself():
    truth, first, _ = _pair(0)
    assert compare_auroc(truth, first, 3 * first + 1) == (0, 0, 0, 1)
    found = compare_membership(truth, first > 0, first > 0, resamples=100, permutations=100)
    assert found["kappa"] == (0, 0, 0, 1)
    assert np.isnan(compare_auroc([1, 1], [0, 1], [1, 0])).all()


def test_permutation_is_the_enumeration_of_all_exchanges():
    rng = np.random.default_rng(1)
    truth, first, second = (rng.integers(0, 2, 12) for _ in range(3))
    groups = np.arange(12) // 2
    seen = []
    for swap in product([False, True], repeat=6):
        chosen = np.repeat(swap, 2)
        one, other = np.where(chosen, second, first), np.where(chosen, first, second)
        seen.append(abs(cohen_kappa_score(truth, one) - cohen_kappa_score(truth, other)))
    found = compare_membership(truth, first, second, groups, permutations=20_000)["kappa"]
    assert found.value == pytest.approx(
        cohen_kappa_score(truth, first) - cohen_kappa_score(truth, second)
    )
    assert found.p == pytest.approx(np.mean(np.array(seen) >= seen[0] - 1e-12), abs=0.015)


def test_accuracy_of_classes_has_the_p_value_of_mcnemar_and_needs_no_numbers():
    rng = np.random.default_rng(2)
    truth = rng.choice(["t1", "t2", "t3"], 200)
    first = np.where(rng.random(200) < 0.5, truth, "t1")
    second = np.where(rng.random(200) < 0.4, truth, "t2")
    found = compare_accuracy(truth, first, second)
    assert found.value == pytest.approx((first == truth).mean() - (second == truth).mean())
    assert found.p == pytest.approx(mcnemar(truth, first, second), abs=0.015)
    assert found.low < found.value < found.high


def test_error_rates_hold_in_simulation():
    rng = np.random.default_rng(3)
    p = []
    for seed in range(200):
        truth = np.repeat(rng.permutation(np.repeat([1, 0], 20)), 3)  # three slices a patient
        first, second = rng.normal(size=(2, 40)).repeat(3, axis=1) + 0.5 * truth
        groups = np.arange(120) // 3
        kappa = compare_membership(truth, first > 0, second > 0, groups, 50, 199, seed)["kappa"]
        p.append((kappa.p, compare_auroc(truth, first, second, groups).p))
    rates = (np.array(p) <= 0.05).mean(axis=0)
    assert ((rates >= 0.01) & (rates <= 0.10)).all()
