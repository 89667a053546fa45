"""Threshold-free measures of a score: exact, by ranks, for scores of any scale.

Weighted forms take one weight vector a resample, so that a bootstrap is a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


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

    Attributes:
        order: Positions in the sample, highest score first, shape (n,).
        starts: Where each distinct score begins in that order, shape (u,).
        positive: Truth in that order, shape (n,).
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    positive: NDArray[np.bool_]

    @classmethod
    def of(cls, truth: ArrayLike, score: ArrayLike) -> RankedSample:
        """Sort a sample; truth 0/1 and score have shape (n,)."""
        positive, values = check_ranking(truth, score)
        order = np.argsort(-values, kind="stable")
        starts = np.append(0, np.flatnonzero(np.diff(values[order])) + 1).astype(np.int64)
        return cls(order, starts, positive[order])

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.order)

    def auroc(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Area under the ROC curve for each weighting.

        Args:
            weights: Weight of each image, shape (B, n).

        Returns:
            Areas, shape (B,); NaN where a class has no weight.
        """
        tp, fp = self._steps(weights)
        above = np.cumsum(tp, axis=1) - tp / 2.0
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((above * fp).sum(axis=1) / (tp.sum(axis=1) * fp.sum(axis=1)))

    def tpr_at_fpr(self, weights: NDArray[np.float64], level: float) -> NDArray[np.float64]:
        """Largest true-positive rate with false-positive rate <= level, the cut picked anew.

        Args:
            weights: Weight of each image, shape (B, n).
            level: Largest false-positive rate allowed.

        Returns:
            Rates, shape (B,); NaN where a class has no weight.
        """
        tp, fp = (np.cumsum(step, axis=1) for step in self._steps(weights))
        allowed = (fp <= level * fp[:, -1:] * (1.0 + 1e-12)).sum(axis=1)
        reached = np.take_along_axis(tp, np.maximum(allowed - 1, 0)[:, None], axis=1)[:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = np.where(allowed > 0, reached, 0.0) / tp[:, -1]
        return np.where(fp[:, -1] > 0, rate, np.nan)

    def average_precision(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average precision for each weighting (B, n), shape (B,); NaN without members."""
        tp, fp = self._steps(weights)
        hits, called = np.cumsum(tp, axis=1), np.cumsum(tp + fp, axis=1)
        precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((tp * precision).sum(axis=1) / hits[:, -1])

    def _steps(
        self, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight of members and of non-members at each distinct score, highest first."""
        sorted_weights = weights[:, self.order]
        members = np.add.reduceat(sorted_weights * self.positive, self.starts, axis=1)
        others = np.add.reduceat(sorted_weights * ~self.positive, self.starts, axis=1)
        return members, others


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
