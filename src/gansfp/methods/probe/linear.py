"""Linear classifiers with probabilities, as plain arrays: discriminant analysis, regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Linear = Literal["lda", "logistic"]

_ITERATIONS = 2000


@dataclass(frozen=True)
class LinearSoftmax:
    """Softmax of an affine map.

    Attributes:
        coef: Shape (classes, D).
        intercept: Shape (classes,).
    """

    coef: Array
    intercept: Array

    @classmethod
    def fit(
        cls,
        features: Array,
        targets: NDArray[np.int64],
        kind: Linear = "logistic",
        c: float = 1.0,
    ) -> LinearSoftmax:
        """Fit with scikit-learn on standardised features, and write the scale into the weights.

        Args:
            features: Shape (n, D).
            targets: 0 to classes - 1, all of them present, shape (n,).
            kind: `lda`: linear discriminant analysis, its covariance shrunk as Ledoit and Wolf
                (2004) say; `logistic`: multinomial regression with an L2 penalty.
            c: `logistic`: inverse of the penalty.
        """
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
        from sklearn.linear_model import LogisticRegression

        centre, scale = features.mean(axis=0), features.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        model = (
            LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
            if kind == "lda"
            else LogisticRegression(C=c, max_iter=_ITERATIONS)
        )
        model.fit((features - centre) / scale, targets)
        coef, intercept = np.asarray(model.coef_), np.asarray(model.intercept_)
        if len(coef) == 1:  # two classes: one plane, towards the second
            coef = np.concatenate([np.zeros_like(coef), coef])
            intercept = np.concatenate([np.zeros_like(intercept), intercept])
        coef = (coef / scale).astype(np.float64)
        return cls(coef, (intercept - coef @ centre).astype(np.float64))

    def probabilities(self, features: Array) -> Array:
        """Classify.

        Args:
            features: Shape (n, D).

        Returns:
            Rows sum to 1, shape (n, classes).
        """
        result: Array = softmax(features @ self.coef.T + self.intercept, axis=1)
        return result
