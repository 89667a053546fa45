"""From embeddings to scores: centroids or average distances, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Inference = Literal["centroid", "average"]

_CHUNK_ELEMENTS = 1 << 22


def distance_to_set(queries: Array, references: Array, inference: Inference) -> Array:
    """Measure how far each query is from a set.

    Args:
        queries: Embeddings, shape (n, D).
        references: Embeddings of the set, shape (m, D).
        inference: `centroid`: distance to the mean embedding. `average`: mean distance.

    Returns:
        Euclidean distances, shape (n,).
    """
    if inference == "centroid":
        return pairwise(queries, references.mean(axis=0, keepdims=True))[:, 0]
    step = max(1, _CHUNK_ELEMENTS // max(1, len(references)))
    parts = [
        pairwise(queries[start : start + step], references).mean(axis=1)
        for start in range(0, len(queries), step)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def pairwise(left: Array, right: Array) -> Array:
    """Euclidean distances of all pairs in fp64, shape (n, m)."""
    squared = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1) - 2 * left @ right.T
    result: Array = np.sqrt(np.maximum(squared, 0.0))
    return result


def probabilities(distances: Array) -> Array:
    """Softmax of negative distances over the last axis.

    The arg-max is the nearest class; the values are no calibrated probabilities: between unit
    vectors a distance is at most 2, so that they stay close to each other.
    """
    result: Array = softmax(-distances, axis=-1)
    return result
