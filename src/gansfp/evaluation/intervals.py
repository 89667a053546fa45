"""Closed-form intervals and tests: proportions, balanced kappa, area under the ROC curve."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gansfp.evaluation.ranking import check_ranking, midranks

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95


class Interval(NamedTuple):
    """A value with the two ends of its interval."""

    value: float
    low: float
    high: float


def normal_quantile(level: float = LEVEL) -> float:
    """Two-sided standard normal quantile: 1.96 at level 0.95."""
    return NormalDist().inv_cdf(0.5 + level / 2.0)


def wilson(successes: int, trials: int, level: float = LEVEL) -> Interval:
    """Score interval of a proportion (Wilson 1927).

    Args:
        successes: Number of successes.
        trials: Number of trials; 0 gives the interval [0, 1] around 0.
        level: Coverage.
    """
    if trials == 0:
        return Interval(0.0, 0.0, 1.0)
    z = normal_quantile(level)
    rate = successes / trials
    shrink = 1.0 + z * z / trials
    centre = (rate + z * z / (2.0 * trials)) / shrink
    half = z / shrink * np.sqrt(rate * (1.0 - rate) / trials + z * z / (4.0 * trials * trials))
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == trials else float(centre + half)
    return Interval(rate, low, high)


def clopper_pearson(successes: int, trials: int, level: float = LEVEL) -> Interval:
    """Exact interval of a proportion (Clopper and Pearson 1934); arguments as `wilson`."""
    from scipy.special import betaincinv

    if trials == 0:
        return Interval(0.0, 0.0, 1.0)
    tail = (1.0 - level) / 2.0
    failures = trials - successes
    low = 0.0 if successes == 0 else float(betaincinv(successes, failures + 1, tail))
    high = 1.0 if failures == 0 else float(betaincinv(successes + 1, failures, 1.0 - tail))
    return Interval(successes / trials, low, high)


def binomial_test(successes: int, trials: int, chance: float) -> float:
    """Exact two-sided p-value of `successes` among `trials` under probability `chance`."""
    from scipy.stats import binomtest

    return float(binomtest(successes, trials, chance).pvalue) if trials else 1.0


def balanced_kappa(correct: int, n: int, level: float = LEVEL) -> Interval:
    """Interval of kappa where truth is half used, half not: kappa = 2 accuracy - 1 exactly.

    Args:
        correct: Number of right decisions.
        n: Number of images.
        level: Coverage of the Wilson interval of the accuracy that is mapped.
    """
    return Interval(*(2.0 * end - 1.0 for end in wilson(correct, n, level)))


def delong(
    truth: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    level: float = LEVEL,
) -> Interval:
    """Area under the ROC curve with an interval on the logit scale.

    The variance is DeLong's (1988) through mid-ranks (Sun and Xu 2014), with groups its clustered
    form (Obuchowski 1997). Perfect or constant rankings, whose variance is 0, take the score
    interval on Hanley and McNeil's variance instead (Newcombe 2006), which counts each group once.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        score: Higher means used; shape (n,).
        groups: Images of one patient share a value; shape (n,).
        level: Coverage.

    Returns:
        Area and interval; all NaN where a class is absent.
    """
    positive, values = check_ranking(truth, score)
    area, variance = delong_variance(positive, values, groups)
    if np.isnan(area):
        return Interval(area, area, area)
    z = normal_quantile(level)
    if variance <= 0.0 or area in (0.0, 1.0):
        members, others = _effective_counts(positive, groups)
        return _newcombe(area, members, others, z)
    logit = np.log(area / (1.0 - area))
    half = z * np.sqrt(variance) / (area * (1.0 - area))
    low, high = (1.0 / (1.0 + np.exp(-end)) for end in (logit - half, logit + half))
    return Interval(area, float(low), float(high))


def delong_variance(
    truth: ArrayLike, score: ArrayLike, groups: ArrayLike | None = None
) -> tuple[float, float]:
    """Area under the ROC curve and its (clustered) DeLong variance; see `delong`."""
    positive, values = check_ranking(truth, score)
    if positive.all() or not positive.any():
        return float("nan"), float("nan")
    component = placements(positive, values)
    return float(component[positive].mean()), placement_variance(positive, component, groups)


def placements(positive: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the other class that each image is on the right side of, ties half (DeLong 1988).

    Args:
        positive: Members, shape (n,); both classes occur.
        values: Scores, higher means member, shape (n,).

    Returns:
        Components, shape (n,); their mean over either class is the area under the ROC curve.
    """
    ranks, component = midranks(values), np.empty(len(values))
    m, n = int(positive.sum()), int((~positive).sum())
    component[positive] = (ranks[positive] - midranks(values[positive])) / n
    component[~positive] = 1.0 - (ranks[~positive] - midranks(values[~positive])) / m
    return component


def placement_variance(
    positive: NDArray[np.bool_], component: NDArray[np.float64], groups: ArrayLike | None = None
) -> float:
    """Variance of the mean of components over a class, images of a group taken together.

    Components of one method give the variance of its area; differences of the components of two
    methods on the same images give the variance of the difference of their areas.

    Args:
        positive: Members, shape (n,); both classes occur.
        component: What `placements` returns, or a difference of two, shape (n,).
        groups: Patient of each image, shape (n,), or None.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    codes = (
        np.arange(m + n) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    )
    size = int(codes.max()) + 1
    centred = component - component[positive].mean()
    member = np.bincount(codes[positive], centred[positive], minlength=size)
    other = np.bincount(codes[~positive], centred[~positive], minlength=size)
    member_units, other_units = len(np.unique(codes[positive])), len(np.unique(codes[~positive]))
    return float(
        _unbiased(member_units) * (member**2).sum() / m**2
        + _unbiased(other_units) * (other**2).sum() / n**2
        + 2.0 * _unbiased(size) * (member * other).sum() / (m * n)
    )


def _unbiased(units: int) -> float:
    return units / (units - 1.0) if units > 1 else 1.0


def _effective_counts(positive: NDArray[np.bool_], groups: ArrayLike | None) -> tuple[int, int]:
    """Number of members and others, or of the groups that hold them."""
    if groups is None:
        return int(positive.sum()), int((~positive).sum())
    codes = np.asarray(groups).ravel()
    return len(np.unique(codes[positive])), len(np.unique(codes[~positive]))


def _newcombe(area: float, m: int, n: int, z: float) -> Interval:
    """Score interval: all areas within z of Hanley and McNeil's standard error at that area."""
    grid = np.linspace(0.0, 1.0, 20_001)
    spread = (m + n) / 2.0 - 1.0
    variance = (
        grid
        * (1.0 - grid)
        / (m * n)
        * (1.0 + spread * (1.0 - grid) / (2.0 - grid) + spread * grid / (1.0 + grid))
    )
    inside = grid[(grid - area) ** 2 <= z * z * variance + 1e-15]
    return Interval(area, float(min(inside.min(), area)), float(max(inside.max(), area)))
