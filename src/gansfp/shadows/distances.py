"""Distances of real images to each generator's samples and to each other: what attacks read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.features.neighbours import Exclusion, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.features.representations import Representation

    Values = NDArray[np.float64]
    Images = NDArray[np.uint8]

DEPTH = 5
"""Neighbours that are kept."""

FLOOR = 1e-6
"""Smallest distance that counts, as a share of the median one: of a copy the logarithm is finite,
and its difference from others does not drown the spread of all images."""

_BLOCK = 512


def encode(representation: Representation, images: Images) -> NDArray[np.float32]:
    """Encode images block by block.

    Args:
        representation: What is compared.
        images: uint8, shape (n, H, W).
    """
    starts = range(0, max(len(images), 1), _BLOCK)
    return np.concatenate([representation.encode(images[k : k + _BLOCK]) for k in starts])


def to_samples(vectors: NDArray[Any], samples: NDArray[Any], depth: int = DEPTH) -> Values:
    """Find the distances to the nearest samples, ascending, shape (n, depth).

    With fewer samples than `depth` the last distance is repeated.
    """
    found = nearest(vectors, samples, min(depth, len(samples)))[0]
    return np.pad(found, ((0, 0), (0, depth - found.shape[1])), mode="edge")


def merge_nearest(best: Values, vectors: NDArray[Any], block: NDArray[Any]) -> Values:
    """Take a further block of samples into the distances to the nearest.

    Args:
        best: Ascending, shape (n, depth); infinite where there were fewer samples.
        vectors: Of the n images, shape (n, D).
        block: Of the samples, shape (b, D).
    """
    depth = best.shape[1]
    found = nearest(vectors, block, min(depth, len(block)))[0]
    merged: Values = np.sort(np.concatenate([best, found], axis=1), axis=1)[:, :depth]
    return merged


def filled(best: Values) -> Values:
    """Repeat the last distance where there were fewer samples than `depth`."""
    last = np.isfinite(best).sum(axis=1) - 1
    result: Values = np.minimum(best, best[np.arange(len(best)), last][:, None])
    return result


def to_pool(
    vectors: NDArray[Any], pool: NDArray[Any], exclude: Exclusion, depth: int = DEPTH
) -> Values:
    """Find the distances to the nearest real images of other patients, ascending, shape (n, depth).

    With fewer of them than `depth` for some image the last distance is repeated.
    """
    mine, theirs = exclude.codes()
    counts = np.bincount(theirs, minlength=int(max(mine.max(), theirs.max())) + 1)
    least = int((len(pool) - counts[mine]).min())
    found = nearest(vectors, pool, min(depth, max(least, 1)), exclude)[0]
    return np.pad(found, ((0, 0), (0, depth - found.shape[1])), mode="edge")


def closeness(distances: Values, k: int = 1, floor: float = 0.0) -> Values:
    """Turn distances into minus the mean logarithm of the k smallest.

    Args:
        distances: Ascending along the last axis, shape (..., depth).
        k: Neighbours, at most depth.
        floor: Smaller distances are raised to it; see `floor_of`.
    """
    result: Values = -np.log(np.maximum(distances[..., :k], floor)).mean(axis=-1)
    return result


def floor_of(distances: Values) -> float:
    """Smallest distance that counts, given all of them."""
    median = float(np.median(distances))
    return FLOOR * median if median > 0 else float(np.finfo(np.float64).tiny)
