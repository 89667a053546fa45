"""Intervals over independently forged generators, the unit of a claim about a method."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from gansfp.evaluation.intervals import LEVEL, Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def over_generators(values: ArrayLike, level: float = LEVEL) -> Interval:
    """Average a metric over generators, with Student's t interval.

    Args:
        values: The metric of each generator, shape (K,).
        level: Coverage.

    Returns:
        Mean and interval; an interval of NaN for one generator, all NaN where a value is.
    """
    sample = np.asarray(values, np.float64).ravel()
    mean = float(sample.mean())
    if len(sample) < 2 or np.isnan(mean):
        return Interval(mean, float("nan"), float("nan"))
    error = float(sample.std(ddof=1)) / np.sqrt(len(sample))
    half = float(stats.t.ppf(0.5 + level / 2.0, len(sample) - 1)) * error
    return Interval(mean, mean - half, mean + half)


def paired_p(first: ArrayLike, second: ArrayLike) -> float:
    """Test two-sided by Student's paired t whether two methods differ over generators.

    Args:
        first: The metric of one method at each generator, shape (K,).
        second: That of the other, at the same generators.

    Returns:
        p; 1 where all differences are 0, NaN for one generator.
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    if len(difference) < 2:
        return float("nan")
    if not difference.any():
        return 1.0
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def share_of(
    values: ArrayLike, ceiling: ArrayLike, chance: float, level: float = LEVEL
) -> Interval:
    """Say what share of a ceiling's excess over chance a method reaches, over generators.

    The ratio of the two mean excesses, with Fieller's interval (1954) for a ratio of means of
    paired values, which needs no ceiling of a single generator to be away from chance.

    Args:
        values: The method's metric at each generator, shape (K,).
        ceiling: The ceiling's.
        chance: Of the metric.
        level: Coverage.

    Returns:
        The share; the interval is (-inf, inf) where the mean ceiling cannot be told from chance.
    """
    top, bottom = (np.asarray(one, np.float64) - chance for one in (values, ceiling))
    share = float(top.mean() / bottom.mean()) if bottom.mean() else float("nan")
    if len(top) < 2:
        return Interval(share, float("nan"), float("nan"))
    t = float(stats.t.ppf(0.5 + level / 2.0, len(top) - 1))
    (v11, v12), (_, v22) = np.cov(top, bottom) / len(top)
    a = bottom.mean() ** 2 - t * t * v22
    b = top.mean() * bottom.mean() - t * t * v12
    c = top.mean() ** 2 - t * t * v11
    if a <= 0:
        return Interval(share, -np.inf, np.inf)
    root = np.sqrt(max(b * b - a * c, 0.0))
    return Interval(share, float((b - root) / a), float((b + root) / a))
