"""Which real images a synthetic one may come from: its nearest, less a cluster of strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.features.neighbours import nearest
from gansfp.methods.clusters.algorithms import spectral

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def candidates(
    synthetic: NDArray[np.floating],
    real: NDArray[np.floating],
    k: int = 50,
    clusters: int = 2,
    neighbours: int = 10,
    seed: int = 42,
) -> tuple[Array, NDArray[np.int64], NDArray[np.bool_]]:
    """Find each synthetic image's nearest real images, and keep the cluster that is nearest.

    Spectral clustering parts the k nearest; the cluster with the smallest mean distance to the
    synthetic image is kept (zhouyijiang1, ImageCLEFmedical GANs 2025, stage 1 of runs 1801 to
    1873). On vectors of unit length Euclidean distance and cosine order alike, so that one exact
    search stands for FAISS' L2 and cosine indices.

    Args:
        synthetic: Unit vectors, shape (m, D).
        real: Unit vectors, shape (n, D).
        k: Nearest real images, at most n.
        clusters: Clusters that they are parted into; fewer than 2: nothing is pruned.
        neighbours: Of the affinity graph.
        seed: Of the clustering.

    Returns:
        Distances, ascending, and positions in `real`, both shape (m, k); and which are kept.
    """
    k = min(k, len(real))
    distance, index = nearest(synthetic, real, k)
    kept = np.ones(index.shape, dtype=bool)
    if clusters < 2 or k <= clusters:
        return distance, index, kept
    for row in range(len(synthetic)):
        labels = spectral(real[index[row]], clusters, neighbours, seed)
        means = np.bincount(labels, distance[row]) / np.maximum(np.bincount(labels), 1)
        means[np.bincount(labels) == 0] = np.inf
        kept[row] = labels == means.argmin()
    return distance, index, kept
