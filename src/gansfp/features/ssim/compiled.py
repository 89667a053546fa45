"""Structural similarity of all pairs of two blocks of images: a compiled loop on CPU threads.

Operations of torch write each intermediate to memory; compiled by numba, a row of windows of a pair
passes through registers once, which is six times as fast.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gansfp.features.ssim.constants import C1, C2

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

_TILE = 8
"""Images of each side of a tile: 64 rows of column sums, 64 KB at 256 columns, stay near the core,
and a row of 16 images is read from memory once for 64 pairs."""

_FAST = {"reassoc", "contract"}
"""Lets sums be vectorised. Those that must be exact are of whole numbers below 2^24, which fp32
adds up exactly in any order."""


def similarities(left: NDArray[np.uint8], right: NDArray[np.uint8], window: int) -> Array:
    """Compare all images of two blocks; each of torch's threads works on tiles of its own.

    Args:
        left: Grey images, shape (n, H, W).
        right: Grey images, shape (m, H, W).
        window: Side of the window.

    Returns:
        Mean SSIM, shape (n, m).
    """
    statistics, compare = _statistics(window), _comparison(window)
    sides = [_prepared(images, statistics, window) for images in (left, right)]
    result = np.zeros((len(left), len(right)))

    def work(corner: tuple[int, int]) -> None:
        compare(*sides[0], *sides[1], result, *corner, _TILE)

    corners = product(range(0, len(left), _TILE), range(0, len(right), _TILE))
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(work, corners))
    windows = (left.shape[1] - window + 1) * (left.shape[2] - window + 1)
    means: Array = (result / windows).astype(np.float32)
    return means


def _prepared(
    images: NDArray[np.uint8], statistics: Any, window: int
) -> tuple[Array, Array, Array]:
    """Greys, sums of windows, and their area times the sum of squares about their means.

    Returns:
        Each of shape (rows, images, columns).
    """
    greys = np.ascontiguousarray(images.swapaxes(0, 1), dtype=np.float32)
    height, n, width = greys.shape
    sums = np.empty((height - window + 1, n, width - window + 1), np.float32)
    rough = np.empty_like(sums)
    statistics(greys, sums, rough)
    return greys, sums, rough


@cache
def _statistics(window: int) -> Any:
    """Compile the statistics of each window of a block."""
    import numba  # here, since half a second is too much for those who compare nothing

    area = window**2

    @numba.njit(nogil=True, fastmath=_FAST, error_model="numpy")
    def statistics(greys: Array, sums: Array, rough: Array) -> None:
        height, n, width = greys.shape
        column, square = np.zeros((n, width), np.float32), np.zeros((n, width), np.float32)
        for row in range(height):
            top = row - window + 1
            for i in range(n):
                for c in range(width):
                    new = greys[row, i, c]
                    old = greys[top - 1, i, c] if top > 0 else np.float32(0)
                    column[i, c] += new - old
                    square[i, c] += new * new - old * old
                if top < 0:
                    continue
                for c in range(width - window + 1):
                    total, squares = column[i, c], square[i, c]
                    for k in range(1, window):
                        total += column[i, c + k]
                        squares += square[i, c + k]
                    whole = np.int32(total)
                    sums[top, i, c] = total
                    rough[top, i, c] = np.int32(np.int32(squares) * area - whole * whole)

    return statistics


@cache
def _comparison(window: int) -> Any:
    """Compile the loop for one window, in two seconds; the sum over a window is then unrolled.

    The covariance, a difference of large numbers, is worked out in whole numbers of 32 bits: its
    terms may overflow, it does not.
    """
    import numba

    area = window**2
    c1, c2 = np.float32(C1 * area**2), np.float32(C2 * area * (area - 1))
    two = np.float32(2)

    @numba.njit(nogil=True, fastmath=_FAST, error_model="numpy")
    def compare(
        x: Array,
        x_sum: Array,
        x_rough: Array,
        y: Array,
        y_sum: Array,
        y_rough: Array,
        result: NDArray[np.float64],
        first: int,
        start: int,
        side: int,
    ) -> None:
        """Add up the windows of the pairs (first + i, start + j), row after row."""
        height, width = x.shape[0], x.shape[2]
        n, m = min(side, x.shape[1] - first), min(side, y.shape[1] - start)
        columns = np.zeros((n, m, width), np.float32)
        for row in range(height):
            top = row - window + 1
            for i in range(n):
                for j in range(m):
                    column = columns[i, j]
                    new, with_new = x[row, first + i], y[row, start + j]
                    if top > 0:
                        old, with_old = x[top - 1, first + i], y[top - 1, start + j]
                        for c in range(width):
                            column[c] += new[c] * with_new[c] - old[c] * with_old[c]
                    else:
                        for c in range(width):
                            column[c] += new[c] * with_new[c]
                    if top < 0:
                        continue
                    a_sum, b_sum = x_sum[top, first + i], y_sum[top, start + j]
                    a_rough, b_rough = x_rough[top, first + i], y_rough[top, start + j]
                    total = np.float32(0)
                    for c in range(width - window + 1):
                        products = column[c]
                        for k in range(1, window):
                            products += column[c + k]
                        a, b = a_sum[c], b_sum[c]
                        covariance = np.int32(products) * area - np.int32(a) * np.int32(b)
                        above = two * np.float32(np.int32(covariance)) + c2
                        below = a_rough[c] + b_rough[c] + c2
                        above *= two * a * b + c1
                        below *= a * a + b * b + c1
                        total += above / below
                    result[first + i, start + j] += total

    return compare
