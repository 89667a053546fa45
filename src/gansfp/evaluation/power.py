"""Power: with how many images an effect of a given size is seen, and the smallest that is.

Images count as independent. Where patients have several images, count patients.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ALPHA = 0.05
TARGET = 0.80
MOST_IMAGES = 2000
"""Largest test set that `images_needed` looks at: the exact tables grow with its square."""


def kappa_power(kappa: float, used: int, unused: int, alpha: float = ALPHA) -> float:
    """Probability that a method of a given kappa differs from chance, exactly.

    The test is the two-sided permutation test of |kappa| (`membership_chance`, all permutations
    instead of a sample). The method calls as many images as were used, in expectation: with a share
    s of used images its true-positive rate is s + kappa (1 - s), its false-positive rate
    s (1 - kappa). Its calls are independent.

    Args:
        kappa: True kappa, from 0 to 1.
        used: Number of used images, at least 1.
        unused: Number of unused images, at least 1.
        alpha: Level of the test; 0.05 / k for Bonferroni over k methods.
    """
    _check(used, unused)
    from scipy.stats import binom

    share = used / (used + unused)
    of_used = binom.pmf(np.arange(used + 1), used, share + kappa * (1.0 - share))
    of_unused = binom.pmf(np.arange(unused + 1), unused, share * (1.0 - kappa))
    return float(of_used @ (kappa_table_p(used, unused) <= alpha) @ of_unused)


def auroc_power(area: float, used: int, unused: int, alpha: float = ALPHA) -> float:
    """Probability that a method of a given area under the ROC curve differs from 1/2.

    Normal approximation, two-sided: the standard error under chance is Mann and Whitney's, under
    the alternative that of Hanley and McNeil (1982).

    Args:
        area: True area, from 1/2 to 1.
        used: Number of used images, at least 1.
        unused: Number of unused images, at least 1.
        alpha: Level of the test.
    """
    _check(used, unused)
    from scipy.stats import norm

    critical = norm.isf(alpha / 2.0) * np.sqrt((used + unused + 1.0) / (12.0 * used * unused))
    spread = max(float(np.sqrt(hanley_mcneil(area, used, unused))), 1e-12)
    beyond = norm.sf((critical - (area - 0.5)) / spread)
    return float(beyond + norm.cdf((-critical - (area - 0.5)) / spread))


def hanley_mcneil(area: float, used: int, unused: int) -> float:
    """Variance of an area under the ROC curve (Hanley and McNeil 1982, exponential scores)."""
    both_used, both_unused = area / (2.0 - area), 2.0 * area**2 / (1.0 + area)
    return (
        area * (1.0 - area)
        + (used - 1.0) * (both_used - area**2)
        + (unused - 1.0) * (both_unused - area**2)
    ) / (used * unused)


def smallest_kappa(
    used: int, unused: int, power: float = TARGET, alpha: float = ALPHA
) -> float | None:
    """Smallest kappa that is seen with probability `power`; None where none is."""
    return _smallest(lambda kappa: kappa_power(kappa, used, unused, alpha), 0.0, power)


def smallest_auroc(
    used: int, unused: int, power: float = TARGET, alpha: float = ALPHA
) -> float | None:
    """Smallest area under the ROC curve that is seen with probability `power`; None: none is."""
    return _smallest(lambda area: auroc_power(area, used, unused, alpha), 0.5, power)


def images_needed(
    kappa: float, share: float = 0.5, power: float = TARGET, alpha: float = ALPHA
) -> int | None:
    """Count the images from which on an effect is seen with probability `power`.

    The test is exact, so that its power rises in steps; this is a number that reaches it, found by
    bisection, and a few images fewer may do as well.

    Args:
        kappa: True kappa, above 0.
        share: Of the images, used ones, between 0 and 1.
        power: Wanted.
        alpha: Level of the test.

    Returns:
        At least one image of each kind; None where 2,000 images do not do.
    """

    def reaches(images: int) -> bool:
        used = min(max(round(share * images), 1), images - 1)
        return kappa_power(kappa, used, images - used, alpha) >= power

    if not reaches(MOST_IMAGES):
        return None
    low, high = 1, 2
    while not reaches(high):
        low, high = high, min(2 * high, MOST_IMAGES)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def _smallest(power_of: Callable[[float], float], chance: float, target: float) -> float | None:
    from scipy.optimize import brentq

    if power_of(1.0) < target:
        return None
    return float(brentq(lambda effect: power_of(effect) - target, chance, 1.0, xtol=1e-6))


@lru_cache(maxsize=4)
def kappa_table_p(used: int, unused: int) -> NDArray[np.float64]:
    """p-value of |kappa| for every table, by true and false positives: (used + 1, unused + 1).

    Given the number of calls, kappa is linear in the true positives, which are hypergeometric.
    """
    n = used + unused
    of_used, of_unused, of_all = (_log_choose(size) for size in (used, unused, n))
    p = np.ones((used + 1, unused + 1))
    for calls in range(n + 1):
        tp = np.arange(max(0, calls - unused), min(used, calls) + 1)
        mass = np.exp(of_used[tp] + of_unused[calls - tp] - of_all[calls])
        away = np.abs(tp * n - used * calls)  # in integers: ties are exact
        order = np.argsort(-away, kind="stable")
        last_of_tie = np.searchsorted(-away[order], -away, "right") - 1
        p[tp, calls - tp] = np.cumsum(mass[order])[last_of_tie]
    return p


def _log_choose(size: int) -> NDArray[np.float64]:
    """Logarithm of the binomial coefficients of a row of Pascal's triangle, shape (size + 1,)."""
    from scipy.special import gammaln

    k = np.arange(size + 1)
    return np.asarray(gammaln(size + 1) - gammaln(k + 1) - gammaln(size - k + 1))


def _check(used: int, unused: int) -> None:
    if min(used, unused) < 1:
        raise ValueError(f"{used} used and {unused} unused images: nothing to tell apart")
