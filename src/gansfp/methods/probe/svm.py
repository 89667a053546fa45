"""A linear support vector machine for several classes, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class LinearSVM:
    """One plane for each pair of classes, in the order (0, 1), (0, 2), ..., (1, 2), ...

    Attributes:
        coef: Normals, shape (pairs, D); they point to the first class of the pair.
        intercept: Shape (pairs,).
        classes: Number of classes.
    """

    coef: Array
    intercept: Array
    classes: int

    @classmethod
    def fit(cls, features: Array, targets: NDArray[np.int64], classes: int, c: float) -> LinearSVM:
        """Fit with libsvm, which `SVC(kernel="linear")` of scikit-learn is.

        Args:
            features: Shape (n, D).
            targets: 0 to `classes` - 1, all of them present, shape (n,).
            classes: Number of classes.
            c: Penalty of a violation; the smaller, the wider the margin.
        """
        from sklearn.svm import SVC

        model = SVC(kernel="linear", C=c).fit(features, targets)
        # With two classes scikit-learn turns the plane round.
        sign = -1.0 if classes == 2 else 1.0
        coef, intercept = sign * np.asarray(model.coef_), sign * np.asarray(model.intercept_)
        return cls(coef.astype(np.float64), intercept.astype(np.float64), classes)

    def votes(self, features: Array) -> Array:
        """Let each pair of classes vote.

        The first of the largest shares is the class that libsvm predicts.

        Args:
            features: Shape (n, D).

        Returns:
            Shares of the votes, rows sum to 1, shape (n, classes).
        """
        side = features @ self.coef.T + self.intercept > 0
        counts = np.zeros((len(features), self.classes))
        for pair, (first, second) in enumerate(combinations(range(self.classes), 2)):
            counts[:, first] += side[:, pair]
            counts[:, second] += ~side[:, pair]
        shares: Array = counts / len(self.intercept)
        return shares
