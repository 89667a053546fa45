"""Threshold-free measures of a score: exact, by ranks, for scores of any scale.

Weighted forms take one weight vector a resample, so that a bootstrap is a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

IN_CACHE = 65_536  # weights of one round of array operations: half a megabyte


def midranks(values: ArrayLike) -> NDArray[np.float64]:
    """Rank values from 1; ties share the mean of their ranks, shape (n,)."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: NDArray[np.float64] = ends - (counts - 1) / 2.0
    return middle[inverse.ravel()]


def auroc(truth: ArrayLike, score: ArrayLike) -> float:
    """Compute the area under the ROC curve: P(member > non-member) + P(tie) / 2.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        score: Higher means used; shape (n,).

    Returns:
        The area (Mann-Whitney form), NaN where a class is absent.
    """
    positive, score = check_ranking(truth, score)
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        return float("nan")
    return float((midranks(score)[positive].sum() - m * (m + 1) / 2.0) / (m * n))


def tpr_at_fpr(truth: ArrayLike, score: ArrayLike, level: float) -> float:
    """Compute the largest true-positive rate whose false-positive rate is at most `level`.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        score: Higher means used; shape (n,).
        level: Largest false-positive rate allowed, in [0, 1].

    Returns:
        The rate over thresholds `score >= t`, NaN where a class is absent.
    """
    curve = RankedSample.of(truth, score)
    return float(curve.tpr_at_fpr(np.ones((1, curve.size)), level)[0])


def average_precision(truth: ArrayLike, score: ArrayLike) -> float:
    """Compute the mean precision over recall steps, ties entering together (as scikit-learn)."""
    positive, score = check_ranking(truth, score)
    if not positive.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits = np.cumsum(positive[order])[last_of_tie]
    precision = hits / (last_of_tie + 1.0)
    return float((np.diff(hits, prepend=0) * precision).sum() / positive.sum())


@dataclass(frozen=True)
class RankedSample:
    """A labelled sample in falling order of score, for measures under many weightings.

    Weights are summed down the members and down the others; everything else is looking up how far
    one of the two lists has come where the other stands.

    Attributes:
        members: Positions of the members in the sample, highest score first, shape (m,).
        others: Positions of the non-members, highest score first, shape (n,).
        members_above: Number of members that score higher than each of `others`, shape (n,).
        members_upto: Number of members that score higher or the same, shape (n,).
        tied_members: Number of members that score as each of `members` or higher, shape (m,).
        others_upto: Number of non-members that score as each of `members` or higher, shape (m,).
    """

    members: NDArray[np.int64]
    others: NDArray[np.int64]
    members_above: NDArray[np.int64]
    members_upto: NDArray[np.int64]
    tied_members: NDArray[np.int64]
    others_upto: NDArray[np.int64]

    @classmethod
    def of(cls, truth: ArrayLike, score: ArrayLike) -> RankedSample:
        """Sort a sample; truth 0/1 and score have shape (n,)."""
        positive, values = check_ranking(truth, score)
        order = np.argsort(-values, kind="stable")
        members, others = order[positive[order]], order[~positive[order]]
        of_members, of_others = -values[members], -values[others]  # rising
        return cls(
            members,
            others,
            np.searchsorted(of_members, of_others, "left"),
            np.searchsorted(of_members, of_others, "right"),
            np.searchsorted(of_members, of_members, "right"),
            np.searchsorted(of_others, of_members, "right"),
        )

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.members) + len(self.others)

    def measure(
        self, weights: NDArray[np.float64], levels: Mapping[str, float]
    ) -> dict[str, NDArray[np.float64]]:
        """Compute every measure for each weighting, in rounds that stay in the cache.

        Args:
            weights: Weight of each image, shape (B, n).
            levels: False-positive rates by the name of the true-positive rate at them.

        Returns:
            `auroc`, `average_precision` and the names of `levels`, each of shape (B,).
        """
        step = max(1, IN_CACHE // self.size)
        parts = [
            self._measure(weights[start : start + step], levels)
            for start in range(0, len(weights), step)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def auroc(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area under the ROC curve for each weighting (B, n), shape (B,); NaN without a class."""
        return self.measure(weights, {})["auroc"]

    def tpr_at_fpr(self, weights: NDArray[np.float64], level: float) -> NDArray[np.float64]:
        """Largest true-positive rate with false-positive rate <= level, the cut picked anew.

        Args:
            weights: Weight of each image, shape (B, n).
            level: Largest false-positive rate allowed.

        Returns:
            Rates, shape (B,); NaN where a class has no weight.
        """
        return self.measure(weights, {"tpr": level})["tpr"]

    def average_precision(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average precision for each weighting (B, n), shape (B,); NaN without members."""
        return self.measure(weights, {})["average_precision"]

    def _measure(
        self, weights: NDArray[np.float64], levels: Mapping[str, float]
    ) -> dict[str, NDArray[np.float64]]:
        of_member, tp = _down(weights, self.members)
        of_other, fp = _down(weights, self.others)
        with np.errstate(invalid="ignore", divide="ignore"):
            above = tp.take(self.members_above, axis=1)
            if self._has_ties:
                above = (above + tp.take(self.members_upto, axis=1)) / 2.0
            area = np.einsum("bn,bn->b", above, of_other) / (tp[:, -1] * fp[:, -1])
            hits = tp.take(self.tied_members, axis=1)
            called = hits + fp.take(self.others_upto, axis=1)
            precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
            mean = np.einsum("bn,bn->b", of_member, precision) / tp[:, -1]
            rates = {name: self._reached(tp, fp, level) for name, level in levels.items()}
        return {"auroc": area, "average_precision": mean, **rates}

    @cached_property
    def _has_ties(self) -> bool:
        """Some member and non-member share a score."""
        return bool((self.members_above != self.members_upto).any())

    def _reached(
        self, tp: NDArray[np.float64], fp: NDArray[np.float64], level: float
    ) -> NDArray[np.float64]:
        """True-positive rate above the first non-member that breaks the level."""
        total = fp[:, -1]
        allowed = (fp[:, 1:] <= (level * total * (1.0 + 1e-12))[:, None]).sum(axis=1)
        cuts = np.append(self.members_above, len(self.members))[allowed]
        rate = np.take_along_axis(tp, cuts[:, None], axis=1)[:, 0] / tp[:, -1]
        return np.where(total > 0, rate, np.nan)


def _down(
    weights: NDArray[np.float64], positions: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pick weights (B, k), and sum them down the list: (B, k + 1), the first column is 0."""
    picked = weights.take(positions, axis=1)  # `take` is several times faster than [:, ...]
    summed = np.zeros((len(weights), len(positions) + 1))
    np.cumsum(picked, axis=1, out=summed[:, 1:])
    return picked, summed


def check_ranking(
    truth: ArrayLike, score: ArrayLike
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return truth as bool and score as float64, both of shape (n,).

    Raises:
        ValueError: Shapes differ, nothing is there, or a score is not finite.
    """
    positive = np.asarray(truth).ravel() == 1
    values = np.asarray(score, np.float64).ravel()
    if positive.shape != values.shape or not len(values):
        raise ValueError(f"truth has shape {positive.shape}, score {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} scores are not finite")
    return positive, values
