"""The statistics, as functions of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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


def nearest_synthetic(queries: Vectors, synthetic: Vectors, k: int = 1) -> Scores:
    """Score by closeness to the synthetic images: minus the mean of the k smallest distances.

    GAN-Leaks' full black-box attack (Chen et al., CCS 2020) for k = 1.

    Args:
        queries: Vectors of the candidates, shape (n, D).
        synthetic: Vectors of the synthetic images, shape (m, D).
        k: Neighbours to average over.

    Returns:
        Scores, higher for members, shape (n,).
    """
    mean: Scores = nearest(queries, synthetic, k)[0].mean(axis=1)
    return -mean


def pool_ratio(
    queries: Vectors,
    synthetic: Vectors,
    pool: Vectors,
    exclude: Exclusion,
    k_pool: int = 1,
) -> Scores:
    """Score by closeness to the synthetic images, relative to how dense the real ones are.

    log d_k(x, pool without x and its group) - log d_1(x, synthetic): an image in a dense region is
    near to everything, and this takes that out.

    Args:
        queries: Vectors of the candidates, shape (n, D).
        synthetic: Vectors of the synthetic images, shape (m, D).
        pool: Vectors of real images, shape (p, D).
        exclude: Keys of queries and pool: pairs with one key are not compared.
        k_pool: Which neighbour in the pool gives the local scale.

    Returns:
        Scores, higher for members, shape (n,).
    """
    local = nearest(queries, pool, k_pool, exclude)[0][:, -1]
    closest = nearest(queries, synthetic, 1)[0][:, 0]
    return log_distance(local) - log_distance(closest)


def class_distances(
    queries: Vectors,
    references: Vectors,
    labels: NDArray[np.int64],
    classes: int,
    k: int = 1,
    exclude: Exclusion | None = None,
) -> Scores:
    """Compute the mean distance to the k nearest references of each class, shape (n, classes)."""
    columns = []
    for c in range(classes):
        member = labels == c
        skip = Exclusion(exclude.queries, exclude.references[member]) if exclude else None
        columns.append(nearest(queries, references[member], k, skip)[0].mean(axis=1))
    return np.stack(columns, axis=1)


def class_votes(
    queries: Vectors,
    references: Vectors,
    labels: NDArray[np.int64],
    classes: int,
    k: int = 1,
    exclude: Exclusion | None = None,
) -> Scores:
    """Count the classes of the k nearest references, each vote worth 1 / (size of its class).

    Returns:
        Shares of the vote, rows sum to 1, shape (n, classes).
    """
    _, index = nearest(queries, references, k, exclude)
    weight = 1 / np.maximum(np.bincount(labels, minlength=classes), 1)
    votes = np.zeros((len(queries), classes))
    winners = labels[index]
    np.add.at(votes, (np.arange(len(queries))[:, None], winners), weight[winners])
    shares: Scores = votes / votes.sum(axis=1, keepdims=True)
    return shares


def distance_probabilities(distances: Scores, temperature: float) -> Scores:
    """Softmax of -log(distance) / temperature: p proportional to distance^(-1 / temperature).

    Free of the scale of the features. The temperature is fixed, not fitted: probabilities rank and
    are not calibrated.
    """
    logits = -log_distance(distances) / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Scores = weights / weights.sum(axis=1, keepdims=True)
    return result


def blend_votes(shares: Scores, by_distance: Scores) -> Scores:
    """Break ties of a vote by distance, which weighs too little (0.1 %) to turn a clear vote."""
    return (1 - _TIE_BREAK) * shares + _TIE_BREAK * by_distance
