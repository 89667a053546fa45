"""Stage one: the real images nearest to each synthetic one, pruned by spectral clustering."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.methods.retrieval.pruning import candidates

if TYPE_CHECKING:
    from numpy.typing import NDArray


def candidate_pairs(
    synthetic: NDArray[np.float64],
    real: NDArray[np.float64],
    k: int = 50,
    neighbours: int = 10,
    prune: bool = True,
) -> NDArray[np.int64]:
    """Pair each synthetic image with its nearest real images, without the farther cluster.

    Between vectors of unit length, Euclidean distance and cosine give the same neighbours.

    Args:
        synthetic: Vectors, shape (m, D).
        real: Vectors, shape (n, D).
        k: Candidates of a synthetic image.
        neighbours: Of the clustering's graph.
        prune: Drop, of two clusters of candidates, the one that is farther on average.

    Returns:
        Index of the real and of the synthetic image of each pair, shape (pairs, 2).
    """
    _, index, kept = candidates(synthetic, real, k, neighbours, prune)
    made, place = np.nonzero(kept)
    return np.stack([index[made, place], made], axis=1)
