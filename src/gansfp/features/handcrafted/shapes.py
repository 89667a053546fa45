"""First-order statistics, bright components, and local binary patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import label
from skimage.feature import local_binary_pattern
from skimage.filters import threshold_otsu

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EIGHT = np.ones((3, 3), dtype=int)


def first_order(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute mean, variance, skewness and excess kurtosis of the grey levels, shape (N, 4).

    As `scipy.stats.skew` and `kurtosis` do, but for an image of one grey value, whose skewness and
    kurtosis are 0.
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    mean = flat.mean(axis=1)
    flat -= mean[:, None]
    variance = np.square(flat).mean(axis=1)
    spread = np.where(variance > 0, variance, np.inf)
    skewness = (flat**3).mean(axis=1) / spread**1.5
    kurtosis = np.where(variance > 0, (flat**4).mean(axis=1) / spread**2 - 3, 0.0)
    return np.stack([mean, variance, skewness, kurtosis], axis=1)


def otsu_components(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Count the bright components of each image, and give mean and sd of their areas, (N, 3).

    Brighter than Otsu's threshold, joined over edges and corners. An image of one grey value has
    none.
    """
    result = np.zeros((len(images), 3))
    for number, image in enumerate(images):
        if image.min() == image.max():
            continue
        labels, count = label(image > threshold_otsu(image), structure=_EIGHT)
        areas = np.bincount(labels.ravel())[1:]
        result[number] = count, areas.mean(), areas.std()
    return result


def lbp_histograms(
    images: NDArray[np.uint8], points: int = 8, radius: float = 1
) -> NDArray[np.float64]:
    """Compute the share of each uniform local binary pattern (Ojala, 2002), by scikit-image.

    Args:
        images: Shape (N, H, W).
        points: Neighbours on the circle.
        radius: Its radius, pixels.

    Returns:
        Rows sum to 1, shape (N, points + 2).
    """
    result = np.empty((len(images), points + 2))
    for number, image in enumerate(images):
        codes = local_binary_pattern(image, points, radius, method="uniform").astype(np.int64)
        result[number] = np.bincount(codes.ravel(), minlength=points + 2) / codes.size
    return result
