"""Mean structural similarity of all pairs, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gansfp.errors import UserError
from gansfp.features.ssim import compiled, tiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = {"cpu": 1 << 23, "cuda": 1 << 25}
"""Pixels of each side whose window statistics are held: up to 5 numbers of 4 bytes a pixel."""


def ssim_matrix(
    left: NDArray[np.uint8],
    right: NDArray[np.uint8],
    window: int = 7,
    device: str | torch.device = "cpu",
    block: int | None = None,
) -> NDArray[np.float32]:
    """Compute the mean structural similarity of all pairs.

    Wang et al. (IEEE TIP 2004) with a uniform window, K1 = 0.01, K2 = 0.03, data range 255, sample
    covariance, over the windows that lie inside the image: the defaults of
    `skimage.metrics.structural_similarity(x, y, data_range=255)`.

    Sums and variances of windows are computed once an image and block; a pair costs the window sums
    of its product alone, which move down the rows by one addition and one subtraction. Covariances
    come from whole numbers, without rounding. A CPU runs a compiled loop, another device operations
    of torch.

    Args:
        left: Grey images, shape (n, H, W).
        right: Grey images, shape (m, H, W).
        window: Side of the window, odd, 3 to 15.
        device: Where the pairs are worked on.
        block: Pixels of each side prepared at a time; None: what suits the device.

    Returns:
        Similarities from -1 to 1, shape (n, m).

    Raises:
        UserError: The window is even, or larger than the images or 15 pixels.
        ValueError: Images are no grey bytes of one shape.
    """
    _check(left, right, window)
    where = torch.device(device)
    images = max(1, (block or _BLOCK[where.type]) // left[0].size) if len(left) else 1
    result = np.empty((len(left), len(right)), np.float32)
    for top in range(0, len(left), images):
        for start in range(0, len(right), images):
            pair = left[top : top + images], right[start : start + images]
            corner = np.s_[top : top + images, start : start + images]
            if where.type == "cpu":
                result[corner] = compiled.similarities(*pair, window)
            else:
                result[corner] = tiled.similarities(*pair, window, where)
    return result


def _check(left: NDArray[Any], right: NDArray[Any], window: int) -> None:
    if left.ndim != 3 or left.shape[1:] != right.shape[1:] or right.ndim != 3:
        raise ValueError(f"shapes {left.shape} and {right.shape}: expected (n, H, W), (m, H, W)")
    if left.dtype != np.uint8 or right.dtype != np.uint8:
        raise ValueError(f"dtypes {left.dtype} and {right.dtype}: expected uint8")
    largest = min(15, *left.shape[1:])
    if window % 2 == 0 or not 3 <= window <= largest:
        raise UserError(f"window={window}: must be odd, from 3 to {largest} for these images")
