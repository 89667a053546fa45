"""Texture of an image as distributions of local numbers, and distances between distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, laplace, sobel, uniform_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEATURES = ("grey", "gradient", "laplacian", "local_sd", "coarse_gradient")
"""Local numbers of every pixel, in this order."""

QUANTILES = 128
_WINDOW, _COARSE = 5, 2.0


def texture_quantiles(images: NDArray[np.uint8], quantiles: int = QUANTILES) -> Array:
    """Describe each image by the quantiles of its local numbers.

    Grey level; magnitude of the Sobel gradient; absolute Laplacian; standard deviation in a 5x5
    window; gradient after a Gaussian of 2 pixels. Quantile i is at (i + 1/2) / quantiles.

    Args:
        images: Shape (N, H, W).
        quantiles: How many.

    Returns:
        Shape (N, 5, quantiles).
    """
    levels = (np.arange(quantiles) + 0.5) / quantiles
    result = np.empty((len(images), len(FEATURES), quantiles))
    for number, image in enumerate(images):
        maps = _maps(image.astype(np.float64)).reshape(len(FEATURES), -1)
        result[number] = np.quantile(maps, levels, axis=1).T
    return result


def wasserstein(first: Array, second: Array) -> Array:
    """Compute Wasserstein-1 distances of distributions given by their quantiles at equal levels.

    The mean absolute difference of the quantile functions: exact where these are steps of equal
    width.

    Args:
        first: Shape (..., quantiles).
        second: Shape (..., quantiles), of a shape that broadcasts.

    Returns:
        Shape (...).
    """
    return np.asarray(np.abs(first - second).mean(axis=-1))


def _maps(grey: Array) -> Array:
    smooth = gaussian_filter(grey, _COARSE)
    mean = uniform_filter(grey, _WINDOW)
    variance = uniform_filter(np.square(grey), _WINDOW) - np.square(mean)
    return np.stack(
        [
            grey,
            np.hypot(sobel(grey, 0), sobel(grey, 1)),
            np.abs(laplace(grey)),
            np.sqrt(np.maximum(variance, 0)),
            np.hypot(sobel(smooth, 0), sobel(smooth, 1)),
        ]
    )
