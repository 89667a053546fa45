"""What a call is worth where few candidates were used: predictive values at other prevalences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.evaluation.intervals import LEVEL, Interval, normal_quantile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREVALENCES = (0.50, 0.10, 0.01)


def predictive_values(
    counts: Mapping[str, int], prevalences: Sequence[float] = PREVALENCES, level: float = LEVEL
) -> dict[float, Interval]:
    """Share of used images among those called used (PPV), at given shares of used candidates.

    PPV = s TPR / (s TPR + (1 - s) FPR) grows with the ratio TPR / FPR alone, so the ends of the
    ratio's score interval give the ends of its own. The benchmark's rates are taken to hold at
    every prevalence, which a transductive rule (median, conformal) does not promise.

    Args:
        counts: `tp fp fn tn`, as `binary_counts` returns; patients where images share them.
        prevalences: Shares s of used candidates, each between 0 and 1.
        level: Coverage.

    Returns:
        Value and interval a prevalence; the value is NaN where nothing was called.
    """
    ratio = rate_ratio(
        counts["tp"],
        counts["tp"] + counts["fn"],
        counts["fp"],
        counts["fp"] + counts["tn"],
        level,
    )
    return {share: Interval(*(_ppv(end, share) for end in ratio)) for share in prevalences}


def rate_ratio(
    hits: int, trials: int, other_hits: int, other_trials: int, level: float = LEVEL
) -> Interval:
    """Ratio of two independent proportions with its score interval (Koopman 1984).

    The interval holds the ratios r that the test of p1 = r p2 with the variance of its constrained
    maximum-likelihood estimate (Miettinen and Nurminen 1985, without their factor n / (n - 1)) does
    not reject. It needs no continuity correction where a count is 0.

    Args:
        hits: Successes of the first sample.
        trials: Its size, at least 1.
        other_hits: Successes of the second sample.
        other_trials: Its size, at least 1.
        level: Coverage.

    Returns:
        Value (infinite where only the second count is 0, NaN where both are) and interval, within
        [0, infinity].
    """
    if min(trials, other_trials) < 1:
        raise ValueError("a rate of no image: the benchmark lacks a class")
    from scipy.optimize import brentq

    first, second = hits / trials, other_hits / other_trials
    if not hits and not other_hits:
        return Interval(float("nan"), 0.0, float("inf"))
    z = normal_quantile(level)

    def score(log_ratio: float) -> float:
        """Standardised first - r second: falls from positive to negative as r grows."""
        r = float(np.exp(log_ratio))
        b = r * (trials + other_hits) + hits + other_trials
        p1 = (b - np.sqrt(b * b - 4.0 * r * (trials + other_trials) * (hits + other_hits))) / (
            2.0 * (trials + other_trials)
        )
        p2 = p1 / r
        variance = p1 * (1.0 - p1) / trials + r * r * p2 * (1.0 - p2) / other_trials
        return float((first - r * second) / np.sqrt(max(variance, 1e-300)))

    def solve(target: float) -> float:
        return float(np.exp(brentq(lambda at: score(at) - target, -30.0, 30.0)))

    low = 0.0 if not hits else solve(z)
    high = float("inf") if not other_hits else solve(-z)
    return Interval(first / second if other_hits else float("inf"), low, high)


def _ppv(ratio: float, share: float) -> float:
    if not 0.0 < share < 1.0:
        raise ValueError(f"prevalence {share} is not between 0 and 1")
    return 1.0 if np.isposinf(ratio) else share * ratio / (share * ratio + 1.0 - share)
