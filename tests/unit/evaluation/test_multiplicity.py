"""Corrections for several methods against statsmodels, by hand, and their error rates."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from gansfp.evaluation.metrics import membership_metrics
from gansfp.evaluation.multiplicity import (
    accuracy_max_t,
    auroc_max_t,
    benjamini_hochberg,
    holm,
    kappa_max_t,
)
from gansfp.evaluation.permutation import Blocks, attribution_chance, membership_chance


@pytest.mark.parametrize("seed", range(5))
def test_holm_and_benjamini_hochberg_equal_statsmodels(seed):
    p = np.random.default_rng(seed).random(30).round(2) ** 3
    for ours, method in ((holm, "holm"), (benjamini_hochberg, "fdr_bh")):
        assert ours(p) == pytest.approx(multipletests(p, method=method)[1])


def _methods(rng, n, count, shared=0.0, effect=0.0):
    truth = rng.permutation(np.repeat([1, 0], n // 2))
    scores = np.sqrt(1 - shared) * rng.normal(size=(count, n)) + np.sqrt(shared) * rng.normal(
        size=n
    )
    scores[0] += effect * truth
    return truth, scores


@pytest.mark.parametrize("grouped", [False, True])
def test_single_p_values_are_those_of_the_chance_tests(grouped):
    rng = np.random.default_rng(0)
    truth, scores = _methods(rng, 80, 3, effect=0.5)
    groups = np.arange(80) // 3 if grouped else None
    decisions = (scores > 0.3).astype(int)
    kappa = kappa_max_t(truth, decisions, groups, 500, seed=4)
    area = auroc_max_t(truth, scores, groups, 500, seed=4)
    for k in range(3):
        alone = membership_chance(truth, decisions[k], scores[k], groups, 500, seed=4)
        assert (kappa.p[k], area.p[k]) == pytest.approx((alone["kappa"], alone["auroc"]))
    classes = rng.integers(0, 4, 80)
    guesses = np.where(rng.random((2, 80)) < 0.15, classes, rng.integers(0, 4, (2, 80)))
    blocks = np.arange(80)
    found = accuracy_max_t(classes, guesses, 4, blocks, 500, seed=4)
    alone = [attribution_chance(classes, row, 4, blocks, 500, seed=4) for row in guesses]
    assert found.p == pytest.approx(alone)


def test_step_down_is_its_definition():
    rng = np.random.default_rng(1)
    truth, scores = _methods(rng, 40, 4, effect=0.8)
    decisions = (scores > 0).astype(int)
    found = kappa_max_t(truth, decisions, permutations=300, seed=2, studentised=False)
    (permuted,) = Blocks.of(truth).permuted(300, seed=2)
    rows = [truth, *permuted]
    kappa = np.array(
        [[abs(membership_metrics(row, one)["kappa"]) for one in decisions] for row in rows]
    )
    order, last = np.argsort(-kappa[0]), 0.0
    for place, method in enumerate(order):
        best = kappa[:, order[place:]].max(axis=1)
        last = max(last, float((best >= kappa[0, method] - 1e-12).mean()))
        assert found.adjusted[method] == pytest.approx(last)


def test_correlated_methods_cost_less_than_holm_and_one_method_nothing():
    rng = np.random.default_rng(2)
    truth, scores = _methods(rng, 200, 20, shared=0.95, effect=0.4)
    found = auroc_max_t(truth, scores, permutations=2000)
    assert (found.adjusted >= found.p).all()
    assert found.adjusted[0] < holm(found.p)[0]
    alone = auroc_max_t(truth, scores[:1], permutations=2000)
    assert alone.adjusted == pytest.approx(alone.p)
    copies = auroc_max_t(truth, np.repeat(scores[:1], 7, axis=0), permutations=2000)
    assert copies.adjusted == pytest.approx(np.repeat(alone.p, 7))


def test_constant_decisions_have_p_one_and_harm_no_other():
    rng = np.random.default_rng(3)
    truth, scores = _methods(rng, 100, 1, effect=1.5)
    decisions = np.vstack([scores > 0.7, np.ones(100)]).astype(int)
    found = kappa_max_t(truth, decisions, permutations=500)
    assert found.adjusted[1] == 1.0
    assert found.adjusted[0] == pytest.approx(found.p[0])


def test_studentising_gives_a_narrow_method_its_chance():
    truth = np.repeat([1, 0], 50)
    rng = np.random.default_rng(4)
    few = (np.arange(100) < 9).astype(int)  # nine calls, all right
    wide = rng.integers(0, 2, (10, 100))
    decisions = np.vstack([few, wide])
    plain = kappa_max_t(truth, decisions, permutations=2000, studentised=False)
    assert kappa_max_t(truth, decisions, permutations=2000).adjusted[0] < plain.adjusted[0] / 2


@pytest.mark.parametrize("grouped", [False, True])
def test_family_wise_error_holds_in_simulation(grouped):
    rng = np.random.default_rng(5)
    worst = []
    for seed in range(200):
        truth = np.repeat(rng.permutation(np.repeat([1, 0], 15)), 2)
        noise = rng.normal(size=(8, 30)).repeat(2, axis=1) if grouped else rng.normal(size=(8, 60))
        groups = np.arange(60) // 2 if grouped else None
        if not grouped:
            truth = rng.permutation(truth)
        noise[0] += 3.0 * truth  # one method leaks: the others must still hold
        worst.append(auroc_max_t(truth, noise, groups, 199, seed).adjusted[1:].min())
    assert 0.01 <= np.mean(np.array(worst) <= 0.05) <= 0.09


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="one row of 4 images"):
        kappa_max_t([0, 1, 0, 1], [0, 1, 0, 1])
