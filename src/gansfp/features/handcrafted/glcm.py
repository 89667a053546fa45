"""Grey level co-occurrence (Haralick, 1973), all images at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROPERTIES = ("contrast", "correlation", "energy", "homogeneity")

# Steps (rows, columns) of scikit-image's angles 0, 45, 90 and 135 degrees at distance 1.
_STEPS = ((0, 1), (1, 1), (1, 0), (1, -1))


def glcm_properties(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Compute properties of the symmetric, normalised matrix of 256 levels at distance 1.

    The values of `skimage.feature.graycomatrix` and `graycoprops`, from the pairs of pixels
    instead of the matrix, which is only made for the energy.

    Args:
        images: Shape (N, H, W).

    Returns:
        Contrast at 0, 45, 90 and 135 degrees, then correlation, energy and homogeneity likewise,
        shape (N, 16). The correlation of an image of one grey value is 1.
    """
    result = np.empty((len(images), len(PROPERTIES), len(_STEPS)))
    for number, image in enumerate(images):
        for angle, step in enumerate(_STEPS):
            result[number, :, angle] = _properties(*_pairs(image, *step))
    return result.reshape(len(images), -1)


def _pairs(image: NDArray[np.uint8], row: int, column: int) -> tuple[NDArray[np.int64], ...]:
    """Grey levels of all pixels that have a neighbour one step away, and of the neighbours."""
    height, width = image.shape
    left, right = max(0, -column), min(width, width - column)
    first = image[: height - row, left:right]
    second = image[row:, left + column : right + column]
    return first.ravel().astype(np.int64), second.ravel().astype(np.int64)


def _properties(
    first: NDArray[np.int64], second: NDArray[np.int64]
) -> tuple[float, float, float, float]:
    difference = first - second
    counts = np.bincount(first * 256 + second, minlength=1 << 16).reshape(256, 256)
    share = (counts + counts.T) / (2 * len(first))
    energy = np.sqrt(np.square(share).sum())
    # Both margins of a symmetric matrix are that of all pixels of all pairs.
    levels, margin = np.arange(256), share.sum(axis=0)
    mean = margin @ levels
    variance = margin @ np.square(levels - mean)
    product = np.mean((first - mean) * (second - mean))
    correlation = product / variance if variance > 1e-15 else 1.0
    return (
        float(np.mean(difference**2)),
        float(correlation),
        float(energy),
        float(np.mean(1 / (1 + difference**2))),
    )
