"""Intervals and tests against scipy and statsmodels, and their coverage in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, fisher_exact, mannwhitneyu
from statsmodels.stats.proportion import proportion_confint

from gansfp.evaluation import bootstrap as bs
from gansfp.evaluation.intervals import (
    balanced_kappa,
    binomial_test,
    clopper_pearson,
    delong,
    delong_variance,
    wilson,
)
from gansfp.evaluation.metrics import attribution_metrics, encode, membership_metrics
from gansfp.evaluation.permutation import Blocks, attribution_chance, membership_chance, p_value
from gansfp.evaluation.ranking import auroc

CASES = [(0, 10), (1, 10), (5, 10), (10, 10), (287, 500), (1, 1), (24890, 25000)]


@pytest.mark.parametrize(("successes", "trials"), CASES)
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_proportions_equal_statsmodels(successes, trials, level):
    for ours, method in ((wilson, "wilson"), (clopper_pearson, "beta")):
        expected = proportion_confint(successes, trials, alpha=1 - level, method=method)
        value, low, high = ours(successes, trials, level)
        assert value == successes / trials
        assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_best_published_run_has_the_interval_and_p_value_of_its_accuracy():
    value, low, high = balanced_kappa(287, 500)
    assert value == pytest.approx(0.148)
    assert (low, high) == pytest.approx((0.061, 0.233), abs=5e-4)
    assert binomial_test(287, 500, 0.5) == pytest.approx(binomtest(287, 500).pvalue)
    assert binomial_test(287, 500, 0.5) == pytest.approx(1.1e-3, abs=5e-5)


def _slow_delong(truth, score):
    positive, negative = score[truth == 1], score[truth == 0]
    kernel = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    v10, v01 = kernel.mean(1), kernel.mean(0)
    return kernel.mean(), v10.var(ddof=1) / len(v10) + v01.var(ddof=1) / len(v01)


@pytest.mark.parametrize("seed", range(5))
def test_delong_variance_is_its_definition(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 80)
    score = (rng.normal(size=80) + truth).round(1)
    assert delong_variance(truth, score) == pytest.approx(_slow_delong(truth, score))
    singletons = rng.permutation(80)
    assert delong_variance(truth, score, singletons) == pytest.approx(_slow_delong(truth, score))


def test_clustered_delong_of_copies_is_delong_of_the_originals():
    rng = np.random.default_rng(0)
    truth = np.repeat([1, 0], 40)
    score = rng.normal(size=80) + truth
    copies = [np.repeat(values, 5) for values in (truth, score, np.arange(80))]
    area, variance = delong_variance(*copies)
    assert area == pytest.approx(auroc(truth, score))
    assert variance == pytest.approx(delong_variance(truth, score)[1])
    assert delong_variance(*copies[:2])[1] < variance / 4


def test_delong_agrees_with_the_bootstrap_at_250_250():
    rng = np.random.default_rng(1)
    truth = np.repeat([1, 0], 250)
    score = rng.normal(size=500) + 0.3 * truth
    resampled = bs.membership_intervals(truth, score > 0, score)["auroc"]
    assert delong(truth, score) == pytest.approx(resampled, abs=0.004)


def test_delong_covers_in_simulation():
    rng = np.random.default_rng(2)
    truth = np.repeat([1, 0], 100)
    covered = [
        interval.low <= 0.5 <= interval.high
        for interval in (delong(truth, rng.normal(size=200)) for _ in range(400))
    ]
    assert 0.92 <= np.mean(covered) <= 0.98


@pytest.mark.parametrize("area", [0.0, 1.0])
def test_perfect_ranking_keeps_an_interval(area):
    truth = np.repeat([1, 0], 20)
    score = truth if area else 1 - truth
    value, low, high = delong(truth, score)
    assert value == area
    assert high - low > 0.05
    assert 0.0 <= low <= value <= high <= 1.0
    wider = delong(truth, score, np.repeat(np.arange(8), 5))
    assert wider.high - wider.low > high - low


def test_a_missing_class_gives_nan():
    assert np.isnan(delong([1, 1], [0.1, 0.2])).all()


def test_stratified_resamples_keep_class_sizes_and_groups_whole():
    truth = np.array([1, 1, 0, 0, 0, 1])
    (weights,) = bs.Units.of(truth).weights(200, seed=0)
    assert (weights[:, truth == 1].sum(axis=1) == 3).all()
    assert (weights[:, truth == 0].sum(axis=1) == 3).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.25)
    groups = np.array(["a", "a", "b", "b", "c", "d"])
    units = bs.Units.of(truth, groups)
    (weights,) = units.weights(50, seed=0)
    assert units.count == 4
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 2] == weights[:, 3]).all()
    assert (weights[:, [0, 5]].sum(axis=1) == 2).all()


def test_a_patient_of_both_labels_is_one_stratum():
    units = bs.Units.of([1, 0, 1, 0], ["a", "a", "b", "c"])
    assert len(set(units.stratum)) == 3


def test_bootstrap_is_seeded_and_has_the_metric_values():
    rng = np.random.default_rng(0)
    truth, score = rng.integers(0, 2, 50), rng.normal(size=50)
    first = bs.membership_intervals(truth, score > 0, score, resamples=300, seed=1)
    assert first == bs.membership_intervals(truth, score > 0, score, resamples=300, seed=1)
    assert first != bs.membership_intervals(truth, score > 0, score, resamples=300, seed=2)
    for name, value in membership_metrics(truth, (score > 0).astype(int), score).items():
        if name in first:
            assert first[name].value == pytest.approx(value)


def test_membership_bootstrap_covers_in_simulation():
    rng = np.random.default_rng(5)
    truth = np.repeat([1, 0], 100)
    covered = []
    for seed in range(100):
        decision = rng.random(200) < np.where(truth, 0.6, 0.4)  # kappa is 0.2
        kappa = bs.membership_intervals(truth, decision, resamples=400, seed=seed)["kappa"]
        covered.append(kappa.low <= 0.2 <= kappa.high)
    assert np.mean(covered) >= 0.88


def test_blocked_bootstrap_of_copies_is_wider_than_the_naive_one():
    rng = np.random.default_rng(0)
    truth, groups = np.repeat([1, 0], 200), np.repeat(np.arange(40), 10)
    score = np.repeat(rng.normal(size=40), 10) + 0.01 * rng.normal(size=400)
    naive = bs.membership_intervals(truth, score > 0, score)["auroc"]
    blocked = bs.membership_intervals(truth, score > 0, score, groups)["auroc"]
    assert blocked.high - blocked.low > 2.5 * (naive.high - naive.low)


def test_attribution_bootstrap_has_the_metric_values_and_wilson_width():
    rng = np.random.default_rng(0)
    classes = ["t1", "t2", "t3"]
    truth = rng.choice(classes, 600)
    decision = np.where(rng.random(600) < 0.7, truth, rng.choice(classes, 600))
    codes = encode(truth, classes), encode(decision, classes)
    plain = bs.attribution_intervals(*codes, 3)
    blocked = bs.attribution_intervals(*codes, 3, groups=np.arange(600))
    expected = attribution_metrics(truth, decision, classes)
    hits = int((truth == decision).sum())
    for name, interval in plain.items():
        assert interval.value == pytest.approx(expected[name])
        assert interval == pytest.approx(blocked[name], abs=0.01)
    assert plain["accuracy"] == pytest.approx(wilson(hits, 600), abs=0.005)


def test_kappa_interval_is_exact_where_balanced_and_resampled_elsewhere():
    truth = np.repeat([1, 0], 250)
    decision = np.r_[np.ones(151), np.zeros(99), np.ones(114), np.zeros(136)]
    assert bs.kappa_interval(truth, decision) == balanced_kappa(287, 500)
    unbalanced = bs.kappa_interval(truth[:400], decision[:400])
    generic = bs.membership_intervals(truth[:400], decision[:400], resamples=10_000)["kappa"]
    assert unbalanced == pytest.approx(generic, abs=0.01)
    assert bs.kappa_interval([1, 1], [1, 1]).value == 0.0


def test_p_value_counts_the_observed():
    assert p_value(2.0, np.array([0.0, 1.0, 2.0, 3.0])) == 3 / 5


def test_membership_permutation_equals_the_exact_tests():
    rng = np.random.default_rng(7)
    truth = np.repeat([1, 0], 40)
    score = rng.normal(size=80) + 0.4 * truth
    decision = (score > 0.2).astype(int)
    chance = membership_chance(truth, decision, score)
    exact = mannwhitneyu(score[:40], score[40:], method="exact").pvalue
    assert chance["auroc"] == pytest.approx(exact, abs=0.01)
    table = np.array([[(decision[:40] == v).sum(), (decision[40:] == v).sum()] for v in (1, 0)])
    assert chance["kappa"] == pytest.approx(fisher_exact(table).pvalue, abs=0.02)
    assert chance == membership_chance(truth, decision, score)


def test_blocked_permutation_is_valid_where_the_naive_one_is_not():
    rng = np.random.default_rng(3)
    truth, groups = np.repeat([1, 0], 100), np.repeat(np.arange(20), 10)
    naive, blocked = [], []
    for seed in range(60):
        score = np.repeat(rng.normal(size=20), 10)
        arguments = truth, score > 0, score
        naive.append(membership_chance(*arguments, permutations=200, seed=seed)["auroc"])
        blocked.append(membership_chance(*arguments, groups, 200, seed)["auroc"])
    assert np.mean(np.array(naive) < 0.05) > 0.3
    assert np.mean(np.array(blocked) < 0.05) < 0.15


def test_blocks_move_whole_patients_and_shuffle_inside_mixed_ones():
    labels = np.array([1, 1, 0, 0, 0, 1, 0])
    groups = np.array(["a", "a", "b", "b", "c", "m", "m"])
    (permuted,) = Blocks.of(labels, groups).permuted(300, seed=0)
    assert (permuted[:, 0] == permuted[:, 1]).all()
    assert (permuted[:, 2] == permuted[:, 3]).all()
    assert (permuted[:, 5] + permuted[:, 6] == 1).all()
    assert (permuted[:, [0, 2, 4]].sum(axis=1) == 1).all()
    assert permuted[:, 4].mean() == pytest.approx(1 / 3, abs=0.1)


def test_attribution_permutation_agrees_with_and_without_tables():
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 4, 120)
    decision = np.where(rng.random(120) < 0.08, truth, rng.integers(0, 4, 120))
    fast = attribution_chance(truth, decision, 4)
    slow = attribution_chance(truth, decision, 4, groups=np.arange(120))
    assert fast == pytest.approx(slow, abs=0.015)
    assert attribution_chance(truth, truth, 4) == pytest.approx(1 / 10_001)
