"""Intervals over generators against scipy, by hand, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gansfp.evaluation.generators import over_generators, paired_p, share_of


def test_the_mean_has_students_interval():
    values = np.array([0.6, 0.7, 0.9, 0.65, 0.8])
    mean, low, high = over_generators(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((expected.low, expected.high))


def test_one_generator_has_no_interval():
    interval = over_generators([0.7])
    assert interval.value == 0.7
    assert np.isnan(interval.low)
    assert np.isnan(paired_p([0.7], [0.6]))


def test_the_paired_test_is_scipys():
    one, two = np.array([0.6, 0.7, 0.9]), np.array([0.5, 0.65, 0.7])
    assert paired_p(one, two) == pytest.approx(stats.ttest_rel(one, two).pvalue)
    assert paired_p(one, one) == 1.0


def test_a_share_by_hand():
    share, low, high = share_of([0.6, 0.6, 0.6], [0.7, 0.7, 0.7], 0.5)
    assert (share, low, high) == pytest.approx((0.5, 0.5, 0.5))
    share, low, high = share_of([0.6, 0.61, 0.59], [0.5, 0.53, 0.48], 0.5)
    assert (low, high) == (-np.inf, np.inf)


def test_fiellers_interval_covers():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        top = rng.normal(0.1, 0.03, 6)
        own = 0.4 * top + rng.normal(0, 0.01, 6)
        _, low, high = share_of(own + 0.5, top + 0.5, 0.5)
        hits += low <= 0.4 <= high
    assert hits / 2000 == pytest.approx(0.95, abs=0.02)
