"""From the scores of several attacks to one: mean rank, or a logistic regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.folds import make_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_PENALTIES = np.logspace(-3, 1, 5)
_FOLDS = 5


def mean_rank(scores: Array, known: Array) -> Array:
    """Average over attacks the share of known images that an image outscores, ties by half.

    Borda's count. No label is read, and an image's score does not depend on the other ones asked
    about.

    Args:
        scores: Shape (n, attacks).
        known: Scores of the images that it is ranked among, shape (r, attacks).

    Returns:
        From 0 to 1, shape (n,).
    """
    shares = []
    for column, among in zip(scores.T, np.sort(known, axis=0).T, strict=True):
        below, up_to = (np.searchsorted(among, column, side) for side in ("left", "right"))
        shares.append((below + up_to) / (2 * len(among)))
    return np.asarray(np.mean(shares, axis=0))


@dataclass(frozen=True)
class Logistic:
    """Weights of standardised scores.

    Attributes:
        mean: Of the scores, shape (attacks,).
        scale: Their standard deviations, shape (attacks,).
        weights: Shape (attacks,).
        intercept: Log odds at the mean, shape (1,).
    """

    mean: Array
    scale: Array
    weights: Array
    intercept: Array

    @classmethod
    def fit(
        cls, scores: Array, labels: NDArray[np.int64], groups: NDArray[np.str_], seed: int = 0
    ) -> Logistic:
        """Fit with an L2 penalty, which folds of the same images choose; no group is torn.

        Args:
            scores: Shape (n, attacks).
            labels: 1 = used, shape (n,).
            groups: Patient of each image, shape (n,).
            seed: Of the folds.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import log_loss

        mean, spread = scores.mean(axis=0), scores.std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        x = (scores - mean) / scale
        fold = make_folds(labels.astype(object), groups, _FOLDS, seed)

        def loss(penalty: float) -> float:
            total = 0.0
            for number in range(_FOLDS):
                seen = fold != number
                model = LogisticRegression(C=penalty).fit(x[seen], labels[seen])
                asked = model.predict_proba(x[~seen])
                total += log_loss(labels[~seen], asked, labels=[0, 1], normalize=False)
            return total

        best = LogisticRegression(C=min(_PENALTIES, key=loss)).fit(x, labels)
        return cls(mean, scale, best.coef_[0], best.intercept_)

    def score(self, scores: Array) -> Array:
        """Log odds of "used", shape (n,)."""
        odds: Array = (scores - self.mean) / self.scale @ self.weights + self.intercept[0]
        return odds
