"""Logarithms of distances, and the statistics of attribution as functions of vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from gansfp.features.neighbours import Exclusion, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[Any]
    Scores = NDArray[np.float64]

FLOOR = float(np.finfo(np.float64).tiny)
"""Stands for distance 0 in logarithms: below any distance that fp64 features can have otherwise,
so that exact copies keep the first rank."""

_TIE_BREAK = 1e-3


def log_distance(distance: Scores) -> Scores:
    """Take the logarithm of distances, finite also at 0 (about -708)."""
    result: Scores = np.log(np.maximum(distance, FLOOR))
    return result


@dataclass(frozen=True)
class References:
    """Images of known class that candidates are compared with.

    Attributes:
        vectors: Shape (m, D).
        labels: Class positions, shape (m,); the last class has an image.
        keys: Exclusion key of each (a candidate is not compared with its own), shape (m,), or None.
    """

    vectors: Vectors
    labels: NDArray[np.int64]
    keys: NDArray[Any] | None = None

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of images of each class, shape (classes,)."""
        return np.bincount(self.labels)

    def of_class(self, label: int) -> References:
        """Keep the images of one class."""
        kept = self.labels == label
        keys = None if self.keys is None else self.keys[kept]
        return References(self.vectors[kept], self.labels[kept], keys)

    def nearest(
        self, queries: Vectors, k: int, keys: NDArray[Any] | None
    ) -> tuple[Scores, NDArray[np.int64]]:
        """Find distances and positions of the k nearest, both (n, k); `keys` are the queries'."""
        exclude = None if keys is None or self.keys is None else Exclusion(keys, self.keys)
        return nearest(queries, self.vectors, k, exclude)


def class_distances(
    queries: Vectors, references: References, k: int = 1, keys: NDArray[Any] | None = None
) -> Scores:
    """Compute the mean distance to the k nearest references of each class, shape (n, classes)."""
    classes = range(len(references.sizes))
    found = [references.of_class(c).nearest(queries, k, keys)[0].mean(axis=1) for c in classes]
    return np.stack(found, axis=1)


def class_votes(
    queries: Vectors, references: References, k: int = 1, keys: NDArray[Any] | None = None
) -> Scores:
    """Count the classes of the k nearest references, each vote worth 1 / (size of its class).

    Returns:
        Shares of the vote, rows sum to 1, shape (n, classes).
    """
    _, index = references.nearest(queries, k, keys)
    worth = 1 / np.maximum(references.sizes, 1)
    winners = references.labels[index]
    votes = np.zeros((len(queries), len(worth)))
    np.add.at(votes, (np.arange(len(queries))[:, None], winners), worth[winners])
    shares: Scores = votes / votes.sum(axis=1, keepdims=True)
    return shares


def distance_probabilities(distances: Scores, temperature: float) -> Scores:
    """Softmax of -log(distance) / temperature: p proportional to distance^(-1 / temperature).

    Free of the scale of the features. The temperature is fixed, not fitted: probabilities rank and
    are not calibrated.
    """
    result: Scores = softmax(-log_distance(distances) / temperature, axis=1)
    return result


def blend_votes(shares: Scores, by_distance: Scores) -> Scores:
    """Break ties of a vote by distance, which weighs too little (0.1 %) to turn a clear vote."""
    return (1 - _TIE_BREAK) * shares + _TIE_BREAK * by_distance
