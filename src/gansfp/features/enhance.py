"""Image enhancement before comparing: Gaussian, Laplacian, Hessian and bilateral filters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from scipy.ndimage import convolve1d
from skimage.feature import hessian_matrix, hessian_matrix_eigvals
from torch.nn import functional as F

from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Filter = Literal["none", "gaussian", "laplacian", "hessian", "bilateral"]

_CHUNK_PIXELS = 1 << 22


def enhance(images: NDArray[np.uint8], name: Filter) -> NDArray[np.uint8]:
    """Filter grey images, rounded and clipped to 0..255.

    ZOQ (ImageCLEFmedical GANs 2025, runs 1355 and 1427) names the four filters; their parameters
    are the common defaults: see each function.

    Args:
        images: Shape (N, H, W).
        name: The filter.

    Raises:
        UserError: There is no such filter.
    """
    if name not in get_args(Filter):
        raise UserError(f"filter {name!r}: choose {', '.join(get_args(Filter))}")
    if name == "none":
        return images
    function = {
        "gaussian": gaussian,
        "laplacian": laplacian,
        "hessian": hessian,
        "bilateral": bilateral,
    }[name]
    result = np.empty(images.shape, np.uint8)
    step = max(1, _CHUNK_PIXELS // max(1, images[0].size)) if len(images) else 1
    for start in range(0, len(images), step):
        part = function(images[start : start + step].astype(np.float32))
        result[start : start + step] = np.clip(np.rint(part), 0, 255)
    return result


def gaussian(images: NDArray[np.float32], size: int = 5, sigma: float = 1.1) -> NDArray[np.float32]:
    """Smooth by a normalised Gaussian, 5x5, sigma 1.1 as OpenCV takes for 5; mirrored borders.

    Args:
        images: Shape (N, H, W).
        size: Side of the kernel.
        sigma: Standard deviation, pixels.
    """
    offset = np.arange(size) - (size - 1) / 2
    kernel = np.exp(-(offset**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    rows = convolve1d(images, kernel, axis=1, mode="mirror")
    result: NDArray[np.float32] = convolve1d(rows, kernel, axis=2, mode="mirror")
    return result


def laplacian(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Absolute value of the 3x3 Laplacian (0 1 0, 1 -4 1, 0 1 0), mirrored borders."""
    kernel = np.array([1.0, -2.0, 1.0])
    down = convolve1d(images, kernel, axis=1, mode="mirror")
    across = convolve1d(images, kernel, axis=2, mode="mirror")
    result: NDArray[np.float32] = np.abs(down + across)
    return result


def hessian(images: NDArray[np.float32], sigma: float = 1.0) -> NDArray[np.float32]:
    """Largest eigenvalue of the Hessian at sigma 1, by scikit-image; dark ridges are bright."""
    result = np.empty_like(images)
    for number, image in enumerate(images):
        elements = hessian_matrix(image, sigma=sigma, order="rc", use_gaussian_derivatives=False)
        result[number] = hessian_matrix_eigvals(elements)[0]
    return result


def bilateral(
    images: NDArray[np.float32], size: int = 9, sigma_grey: float = 75, sigma_space: float = 75
) -> NDArray[np.float32]:
    """Smooth within a circle, weighted by distance and by difference in grey (Tomasi, ICCV 1998).

    OpenCV's `bilateralFilter(image, 9, 75, 75)`: neighbours within half the size, mirrored borders.

    Args:
        images: Shape (N, H, W).
        size: Diameter of the circle, pixels.
        sigma_grey: Standard deviation of the weight of grey differences.
        sigma_space: Of the weight of distances, pixels.
    """
    radius = size // 2
    grey = torch.from_numpy(np.ascontiguousarray(images))
    height, width = grey.shape[1:]
    padded = F.pad(grey[:, None], (radius,) * 4, mode="reflect")[:, 0]
    total, weight = torch.zeros_like(grey), torch.zeros_like(grey)
    for row in range(-radius, radius + 1):
        for column in range(-radius, radius + 1):
            squared = row**2 + column**2
            if squared > radius**2:
                continue
            top, left = row + radius, column + radius
            near = padded[:, top : top + height, left : left + width]
            share = (near - grey).square_().div_(-2 * sigma_grey**2)
            share.sub_(squared / (2 * sigma_space**2)).exp_()
            total.addcmul_(share, near)
            weight += share
    return np.asarray((total / weight).numpy())
