"""Ranking measures of many weightings: the quick form equals sums over every distinct score."""

from __future__ import annotations

import numpy as np
import pytest

from gansfp.evaluation import bootstrap, ranking
from gansfp.evaluation.metrics import FPR_LEVELS
from gansfp.evaluation.ranking import RankedSample


def by_distinct_scores(truth, score, weights, levels):
    """Area, average precision and rates from the weights at each distinct score, one by one."""
    order = np.argsort(-score, kind="stable")
    starts = np.append(0, np.flatnonzero(np.diff(score[order])) + 1)
    sorted_weights, positive = weights[:, order], truth[order] == 1
    tp = np.add.reduceat(sorted_weights * positive, starts, axis=1)
    fp = np.add.reduceat(sorted_weights * ~positive, starts, axis=1)
    hits, alarms = np.cumsum(tp, axis=1), np.cumsum(fp, axis=1)
    called = hits + alarms
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    result = {}
    with np.errstate(invalid="ignore", divide="ignore"):
        result["auroc"] = ((hits - tp / 2) * fp).sum(axis=1) / (hits[:, -1] * alarms[:, -1])
        result["average_precision"] = (tp * precision).sum(axis=1) / hits[:, -1]
        for name, level in levels.items():
            fits = alarms <= level * alarms[:, -1:] * (1 + 1e-12)
            rate = np.where(fits, hits, 0).max(axis=1) / hits[:, -1]
            result[name] = np.where(alarms[:, -1] > 0, rate, np.nan)
    return result


def sample(seed, n, decimals):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    score = (rng.normal(size=n) + 0.4 * truth).round(decimals)
    return truth, score, rng


@pytest.mark.parametrize("decimals", [8, 1, 0])
@pytest.mark.parametrize("n", [2, 7, 60, 1500])
@pytest.mark.parametrize("seed", range(5))
def test_every_measure_equals_the_sum_over_distinct_scores(seed, n, decimals):
    truth, score, rng = sample(seed, n, decimals)
    weights = rng.poisson(1.0, (40, n)).astype(float)
    weights[0] = 0
    levels = {"at_0": 0.0, "at_all": 1.0, **FPR_LEVELS}
    expected = by_distinct_scores(truth, score, weights, levels)
    found = RankedSample.of(truth, score).measure(weights, levels)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12, atol=0, err_msg=name)


def test_the_size_of_a_round_changes_nothing(monkeypatch):
    truth, score, rng = sample(0, 300, 1)
    weights = rng.poisson(1.0, (50, 300)).astype(float)
    whole = RankedSample.of(truth, score).measure(weights, FPR_LEVELS)
    monkeypatch.setattr(ranking, "IN_CACHE", 301)
    parts = RankedSample.of(truth, score).measure(weights, FPR_LEVELS)
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("grouped", [False, True])
def test_the_intervals_are_those_of_the_sums(monkeypatch, grouped):
    truth, score, _ = sample(3, 400, 2)
    groups = np.arange(400) // 3 if grouped else None
    decision = (score > 0).astype(int)
    found = bootstrap.membership_intervals(truth, decision, score, groups, 300, seed=5)

    class Slow:
        of = staticmethod(lambda *_: Slow())
        measure = staticmethod(lambda w, levels: by_distinct_scores(truth, score, w, levels))

    monkeypatch.setattr(bootstrap, "RankedSample", Slow)
    expected = bootstrap.membership_intervals(truth, decision, score, groups, 300, seed=5)
    for name, interval in expected.items():
        np.testing.assert_allclose(found[name], interval, rtol=1e-12, atol=0, err_msg=name)
