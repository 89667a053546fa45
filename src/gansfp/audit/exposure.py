"""From scores to answers: does the set leak, how many patients are exposed, and which ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gansfp.errors import UserError
from gansfp.evaluation.conformal import discover, fewest_calls
from gansfp.evaluation.intervals import LEVEL, Interval, delong
from gansfp.evaluation.measure import mean_by_group
from gansfp.evaluation.multiplicity import benjamini_hochberg, max_t
from gansfp.evaluation.permutation import PERMUTATIONS, Blocks
from gansfp.evaluation.prevalence import rate_ratio
from gansfp.evaluation.ranking import midranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

COMBINE = ("mean", "max")
TAILS = (0.05, 0.01)
"""Shares of the highest scores that the test of the set looks at, beside the whole ranking."""

LEVELS = (0.50, 0.75, 0.90, 0.95)
"""Quantiles of all scores at which the share of exposed patients is estimated."""


@dataclass(frozen=True)
class Units:
    """Patients, or images where no patients are known.

    Attributes:
        of_image: Number of each image's unit, shape (n,).
        labels: 1 for a unit of `real`, 0 for one of the non-members, shape (u,).
        combine: How the scores of a patient's images become one: `mean` or `max`.
    """

    of_image: NDArray[np.int64]
    labels: NDArray[np.int64]
    combine: str = "mean"

    @classmethod
    def of(cls, groups: NDArray[Any], labels: NDArray[np.int64], combine: str = "mean") -> Units:
        """Number the units in the order in which they come first.

        Args:
            groups: Patient of each image, shape (n,); none is on both sides.
            labels: 1 for `real`, 0 for non-members, shape (n,).
            combine: `mean` or `max`.
        """
        if combine not in COMBINE:
            raise UserError(f"patients={combine}: choose {', '.join(COMBINE)}")
        _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(first, kind="stable")] = np.arange(len(first))
        return cls(rank[codes.ravel()], labels[np.sort(first)], combine)

    @property
    def equal(self) -> bool:
        """Whether all units have the same number of images."""
        return len(np.unique(np.bincount(self.of_image))) == 1

    def score(self, image_scores: Values) -> Values:
        """Combine the scores of a unit's images, shape (u,)."""
        if self.combine == "mean":
            return mean_by_group(image_scores, self.of_image)
        highest = np.full(len(self.labels), -np.inf)
        np.maximum.at(highest, self.of_image, image_scores)
        return highest


class Exposure(NamedTuple):
    """Which units of `real` are exposed.

    Attributes:
        p: Conformal p-value of each, shape (u,).
        adjusted: The smallest false discovery rate at which it would be called, shape (u,).
        called: Exposed at the chosen rate, shape (u,).
        fewest: How many must stand out together before any can be called.
        known: Number of non-members that calibrate.
    """

    p: Values
    adjusted: Values
    called: NDArray[np.bool_]
    fewest: int
    known: int


def exposed(score: Values, labels: NDArray[np.int64], q: float) -> Exposure:
    """Call the exposed units of `real` at false discovery rate q.

    Args:
        score: Of each unit, higher means nearer, shape (u,).
        labels: 1 for a unit of `real`, 0 for one of the non-members, shape (u,).
        q: Expected share of wrong calls among the calls, at most.
    """
    found = discover(score[labels == 1], score[labels == 0], q)
    fewest = fewest_calls(found.units, found.known, q)
    return Exposure(found.p, benjamini_hochberg(found.p), found.called, fewest, found.known)


class SetTest(NamedTuple):
    """Whether the set leaks at all.

    Attributes:
        p: That `real` is no nearer to the synthetic images than the non-members, one-sided,
            corrected for the three looks.
        looks: p-value of each look alone: `ranking`, `top_5_percent`, `top_1_percent`.
        reverse_p: The same of the opposite: that non-members are no nearer than `real`.
        auroc: Probability that one of `real` scores above a non-member, with its interval.
    """

    p: float
    looks: dict[str, float]
    reverse_p: float
    auroc: Interval


def set_test(
    score: Values, labels: NDArray[np.int64], permutations: int = PERMUTATIONS, seed: int = 0
) -> SetTest:
    """Test the set as a whole by permuting which units are `real`.

    A leak of all patients by a little shows in the ranking, one of few patients in the highest
    scores; the three looks share their permutations (step-down max-T, `multiplicity.max_t`).

    Args:
        score: Of each unit, shape (u,).
        labels: 1 for `real`, 0 for a non-member, shape (u,).
        permutations: Number of permutations.
        seed: Seed of the permutations.
    """
    names = ["ranking", *(f"top_{100 * share:.0f}_percent" for share in TAILS)]
    found = max_t(_looks(score), Blocks.of(labels), permutations, seed, centred=True)
    reverse = max_t(_looks(-score), Blocks.of(labels), permutations, seed, centred=True)
    return SetTest(
        float(found.adjusted.min()),
        {name: float(p) for name, p in zip(names, found.p, strict=True)},
        float(reverse.adjusted.min()),
        delong(labels, score),
    )


def _looks(score: Values) -> Any:
    ranks = midranks(score)
    weights = [ranks / len(ranks)]
    for share in TAILS:
        cut = np.quantile(score, 1.0 - share)
        weights.append((score >= cut).astype(np.float64))
    columns = np.stack(weights, axis=1)

    def statistic(labels: NDArray[np.int64]) -> Values:
        return np.asarray(labels.astype(np.float64) @ columns)

    return statistic


def visible_share(score: Values, labels: NDArray[np.int64], level: float = LEVEL) -> Interval:
    """Estimate the share of `real` that the synthetic set gives away, from below.

    A unit that is not given away scores as a non-member. With a and b the shares of `real` and of
    the non-members that score below a cut, at least 1 - a / b of `real` therefore score otherwise
    (Storey 2002; DUCI's debiased usage fraction with a true-positive rate of 1). Of four cuts, at
    quantiles of all scores together, the one whose lower end is highest counts; each interval has
    the level that Bonferroni asks for, so that the lower end holds for all four. The upper end
    bounds what is visible at that cut, not what may be exposed unseen.

    Args:
        score: Of each unit, shape (u,).
        labels: 1 for `real`, 0 for a non-member, shape (u,).
        level: Coverage.
    """
    each = 1.0 - (1.0 - level) / len(LEVELS)
    real, others = score[labels == 1], score[labels == 0]
    found = []
    for quantile in LEVELS:
        cut = np.quantile(score, quantile)
        a, b = int((real < cut).sum()), int((others < cut).sum())
        ratio = rate_ratio(a, len(real), b, len(others), each)
        ends = (
            1.0 - end if np.isfinite(end) else 0.0 for end in (ratio.value, ratio.high, ratio.low)
        )
        found.append(Interval(*(min(max(end, 0.0), 1.0) for end in ends)))
    return max(found, key=lambda interval: (interval.low, interval.value))
