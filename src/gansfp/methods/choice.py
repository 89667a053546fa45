"""A regression that compares alternatives by what is known of each, whatever their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class ConditionalLogit:
    """P(k) is proportional to exp(w . x_k): every alternative has the same weights.

    McFadden, "Conditional logit analysis of qualitative choice behavior", 1974. Classes that change
    places change places in the answer, so that nothing of a class is learnt but its x_k.

    Attributes:
        weights: Shape (D,), none of them negative.
    """

    weights: Array

    @classmethod
    def fit(cls, features: Array, targets: NDArray[np.int64], penalty: float = 1.0) -> Self:
        """Maximise the likelihood less `penalty` times half the squared standardised weights.

        Args:
            features: Evidence for each alternative: more of it never speaks against, shape
                (n, K, D).
            targets: 0 to K - 1, shape (n,).
            penalty: Of weights that belong to features of spread 1 within an image.
        """
        centred = features - features.mean(axis=1, keepdims=True)
        scale = centred.std(axis=(0, 1))
        scale = np.where(scale > 0, scale, 1.0)
        known = centred / scale
        right = known[np.arange(len(targets)), targets]

        def loss(weights: Array) -> tuple[float, Array]:
            logits = known @ weights
            chosen = log_softmax(logits, axis=1)[np.arange(len(targets)), targets]
            expected = np.einsum("nk,nkd->nd", softmax(logits, axis=1), known)
            gradient = (expected - right).sum(axis=0) + penalty * weights
            return float(-chosen.sum() + penalty * weights @ weights / 2), gradient

        start = np.zeros(features.shape[2])
        bounds = [(0, None)] * len(start)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
        return cls(np.asarray(found.x / scale, np.float64))

    def probabilities(self, features: Array) -> Array:
        """Compare alternatives: rows sum to 1, shape (n, K)."""
        result: Array = softmax(features @ self.weights, axis=1)
        return result
