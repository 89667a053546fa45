"""From embeddings to scores: how similar a real image is to the synthetic ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from gansfp.features.neighbours import nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Aggregate = Literal["max", "top3", "mean", "sigmoid", "chosen"]

_TOP = 3
_NEVER_CHOSEN = 2.0
"""Taken from the similarity of images that no synthetic one chooses: below every other score."""


def membership_scores(real: Array, synthetic: Array, aggregate: Aggregate) -> Array:
    """Score real images by their cosines to synthetic ones; the rules of taozi's runs.

    Args:
        real: Embeddings of unit length, shape (n, D).
        synthetic: Embeddings of unit length, shape (m, D).
        aggregate: `max`; `top3`: mean of the three largest; `mean`; `sigmoid`: of 7 (max - 0.5);
            `chosen`: the largest cosine among the synthetic images to which no other real image is
            nearer, and 2 less than `max` where there is none. `chosen` looks at the other images.

    Returns:
        Higher means used, shape (n,).
    """
    if not len(real):
        return np.empty(0)
    if aggregate == "mean":
        return np.asarray(real @ synthetic.mean(axis=0))
    if aggregate == "top3":
        top: Array = _cosines(real, synthetic, min(_TOP, len(synthetic))).mean(axis=1)
        return top
    best = _cosines(real, synthetic, 1)[:, 0]
    if aggregate == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-7 * (best - 0.5))))
    if aggregate == "chosen":
        return _chosen(real, synthetic, best - _NEVER_CHOSEN)
    return best


def _cosines(queries: Array, references: Array, k: int) -> Array:
    """Give the k largest cosines of each query: unit vectors are nearest where cosines are."""
    _, index = nearest(queries, references, k)
    cosines: Array = np.einsum("nd,nkd->nk", queries, references[index])
    return cosines


def _chosen(real: Array, synthetic: Array, otherwise: Array) -> Array:
    _, index = nearest(synthetic, real, 1)
    cosines = np.einsum("md,md->m", synthetic, real[index[:, 0]])
    scores = otherwise.copy()
    np.maximum.at(scores, index[:, 0], cosines)
    return scores
