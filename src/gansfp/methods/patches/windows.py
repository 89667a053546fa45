"""Windows of images as vectors, and how near they come to shifted windows of other images."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.errors import UserError
from gansfp.features.neighbours import Exclusion, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Grey = NDArray[np.float32]
    Scores = NDArray[np.float64]

NOISE = 1 / 255
"""Standard deviation of the noise that each window is thought to have besides: one grey level. A
window of air, without other contrast, then has next to no norm instead of a random direction."""

_PIECE = 1 << 22
"""Values of fp64 scratch: 32 MB."""


def corners(size: int, window: int, grid: int, shift: int) -> NDArray[np.int64]:
    """Place windows evenly, far enough from the edge that all their shifts fit, shape (grid,).

    Raises:
        UserError: There is no room.
    """
    last = size - window - shift
    if last < shift or grid < 1:
        raise UserError(
            f"method.window={window}, method.shift={shift}: images have {size} pixels a side; the "
            f"window and twice the shift may take {size}"
        )
    if grid == 1:
        return np.array([(shift + last) // 2], np.int64)
    return np.linspace(shift, last, grid).round().astype(np.int64)


def standardised(images: Grey, row: int, column: int, window: int) -> Grey:
    """Cut a window out of each image: zero mean, unit norm, float32 (n, window * window).

    The distance of two with contrast is sqrt(2 - 2 r), with r their correlation.
    """
    vectors = np.empty((len(images), window * window), np.float32)
    step = max(1, _PIECE // (window * window))
    for start in range(0, len(images), step):
        part = images[start : start + step, row : row + window, column : column + window]
        block = part.reshape(len(part), -1).astype(np.float64)
        block -= block.mean(axis=1, keepdims=True)
        squared = np.square(block).sum(axis=1, keepdims=True) + window**2 * NOISE**2
        vectors[start : start + step] = block / np.sqrt(squared)
    return vectors


def shifted(images: Grey, place: tuple[int, int], window: int, shift: int) -> Iterator[Grey]:
    """Cut windows out of each image, one shift of up to `shift` pixels along each axis at a time.

    Yields:
        float32, shape (n, window * window); (2 shift + 1)^2 times.
    """
    steps = range(-shift, shift + 1)
    for dy in steps:
        for dx in steps:
            yield standardised(images, place[0] + dy, place[1] + dx, window)


def window_distances(
    queries: Grey,
    others: Grey,
    place: tuple[int, int],
    window: int,
    shift: int,
    k: int,
    keys: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> Scores:
    """Compute the distance of a window to the k nearest shifted windows of different images.

    Args:
        queries: Shape (n, H, W), in [0, 1].
        others: Shape (m, H, W).
        place: Row and column of the window's corner.
        window: Its side.
        shift: Largest shift of the others' windows, pixels along each axis.
        k: Number of other images.
        keys: Patients of queries and others; equal ones are not compared.

    Returns:
        Ascending, shape (n, k).

    Raises:
        UserError: There are fewer than k others to compare with.
    """
    x = standardised(queries, *place, window)
    moved = shifted(others, place, window, shift)
    if k == 1:
        exclude = None if keys is None else Exclusion(*keys)
        return reduce(np.minimum, (nearest(x, y, 1, exclude)[0] for y in moved))
    # The nearest k of one image would all be its own shifts: its best one counts.
    best = reduce(np.minimum, (_all_distances(x, y) for y in moved))
    if keys is not None:
        best[keys[0][:, None] == keys[1]] = np.inf
    found = np.sort(best, axis=1)[:, :k]
    if found.shape[1] < k or not np.isfinite(found).all():
        raise UserError(f"method.k_scale={k}: there are fewer images of other patients")
    return found


def _all_distances(left: Grey, right: Grey) -> Scores:
    """Distances of all pairs, shape (n, m). Norms are at most 1, so fp64 products lose nothing."""
    x, y = left.astype(np.float64), right.astype(np.float64)
    squared = (x * x).sum(1)[:, None] + (y * y).sum(1) - 2 * (x @ y.T)
    distances: Scores = np.sqrt(np.maximum(squared, 0.0))
    return distances
