"""Clustering algorithms with the settings of the contest's runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.mixture import GaussianMixture

from gansfp.errors import UserError
from gansfp.features.neighbours import Exclusion, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float64]
    Labels = NDArray[np.int64]

Algorithm = Literal["kmeans", "gmm", "agglomerative", "dbscan", "spectral"]

NOISE = -1
MIN_SAMPLES = 5


def cluster(
    vectors: Vectors,
    algorithm: Algorithm,
    clusters: int = 2,
    neighbours: int = 10,
    seed: int = 42,
) -> Labels:
    """Put vectors into clusters.

    Args:
        vectors: Shape (n, D).
        algorithm: `kmeans` (10 starts), `gmm` (full covariances), `agglomerative` (Ward), `dbscan`
            (at least 5 neighbours within the knee of the distances to the fifth), or `spectral`
            (nearest-neighbour affinity).
        clusters: How many, but for `dbscan`.
        neighbours: Of the affinity of `spectral`.
        seed: Of `kmeans`, `gmm` and `spectral`.

    Returns:
        The cluster of each, shape (n,); -1 for noise (`dbscan`).

    Raises:
        UserError: There is no such algorithm.
    """
    if algorithm == "kmeans":
        model = KMeans(clusters, n_init=10, random_state=seed)
    elif algorithm == "gmm":
        model = GaussianMixture(clusters, covariance_type="full", random_state=seed)
    elif algorithm == "agglomerative":
        model = AgglomerativeClustering(clusters, linkage="ward")
    elif algorithm == "dbscan":
        model = DBSCAN(eps=knee_distance(vectors), min_samples=MIN_SAMPLES)
    elif algorithm == "spectral":
        return spectral(vectors, clusters, neighbours, seed)
    else:
        raise UserError(f"algorithm {algorithm!r}: choose {', '.join(get_args(Algorithm))}")
    return np.asarray(model.fit_predict(vectors), dtype=np.int64)


def spectral(vectors: Vectors, clusters: int, neighbours: int, seed: int) -> Labels:
    """Cluster by the eigenvectors of the graph of nearest neighbours (Ng, Jordan and Weiss, 2002).

    The neighbours are those of the exact search; a vector counts among its own, as in scikit-learn.
    """
    n = len(vectors)
    k = min(neighbours, n)
    _, index = nearest(vectors, vectors, k)
    graph = np.zeros((n, n))
    graph[np.arange(n)[:, None], index] = 1
    model = SpectralClustering(clusters, affinity="precomputed", random_state=seed)
    return np.asarray(model.fit_predict((graph + graph.T) / 2), dtype=np.int64)


def knee_distance(vectors: Vectors, k: int = MIN_SAMPLES) -> float:
    """Find the knee of the sorted distances to the k-th neighbour: a radius for DBSCAN.

    The point of the curve farthest below the line between its ends (Satopaa et al., 2011, without
    the smoothing).
    """
    rows = np.arange(len(vectors))
    distance, _ = nearest(vectors, vectors, min(k, len(vectors) - 1), Exclusion(rows, rows))
    curve = np.sort(distance[:, -1])
    span = curve[-1] - curve[0]
    if span <= 0:
        return float(max(curve[-1], np.finfo(np.float64).tiny))
    below = np.linspace(0, 1, len(curve)) - (curve - curve[0]) / span
    return float(curve[int(below.argmax())])
