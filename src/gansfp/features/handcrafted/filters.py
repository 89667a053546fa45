"""Gabor filters and wavelets, summarised over the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pywt
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FREQUENCIES, ANGLES = (0.1, 0.3, 0.5), (0.0, 45.0, 90.0)
_SIDE, _SIGMA, _GAMMA = 21, 4.0, 0.5
_CHUNK_PIXELS = 1 << 20


def gabor_kernel(frequency: float, degrees: float) -> NDArray[np.float64]:
    """Make OpenCV's `getGaborKernel((21, 21), 4, theta, 1 / frequency, 0.5, 0)`.

    exp(-(x'^2 + gamma^2 y'^2) / (2 sigma^2)) cos(2 pi frequency x'), x' along the angle; OpenCV
    counts both axes backwards, as its `filter2D` correlates instead of convolving.

    Returns:
        Shape (21, 21).
    """
    half, theta = _SIDE // 2, np.deg2rad(degrees)
    y, x = np.mgrid[half : -half - 1 : -1, half : -half - 1 : -1].astype(np.float64)
    along = x * np.cos(theta) + y * np.sin(theta)
    across = -x * np.sin(theta) + y * np.cos(theta)
    envelope = np.exp(-(along**2 + _GAMMA**2 * across**2) / (2 * _SIGMA**2))
    result: NDArray[np.float64] = envelope * np.cos(2 * np.pi * frequency * along)
    return result


def gabor_moments(
    images: NDArray[np.uint8],
    frequencies: Sequence[float] = FREQUENCIES,
    angles: Sequence[float] = ANGLES,
) -> NDArray[np.float64]:
    """Compute mean and variance of the responses to a bank of Gabor filters, mirrored borders.

    Args:
        images: Shape (N, H, W), at least 11 pixels high and wide.
        frequencies: Cycles a pixel.
        angles: Degrees.

    Returns:
        Mean, variance of each filter, frequency by frequency, shape (N, 2 * filters).
    """
    bank = np.stack([gabor_kernel(f, a) for f in frequencies for a in angles])
    kernels = torch.from_numpy(bank).float().unsqueeze(1)
    result = np.empty((len(images), len(bank), 2))
    step = max(1, _CHUNK_PIXELS // max(1, images[0].size)) if len(images) else 1
    for start in range(0, len(images), step):
        grey = torch.from_numpy(np.array(images[start : start + step])).float().unsqueeze(1)
        response = F.conv2d(F.pad(grey, (_SIDE // 2,) * 4, mode="reflect"), kernels).double()
        variance, mean = torch.var_mean(response, dim=(2, 3), correction=0)
        result[start : start + step] = torch.stack([mean, variance], -1).numpy()
    return result.reshape(len(images), -1)


def wavelet_energies(
    images: NDArray[np.uint8], wavelet: str = "db1", level: int = 2
) -> NDArray[np.float64]:
    """Compute the energy (sum of squares) of each sub-band of a wavelet transform, by PyWavelets.

    Args:
        images: Shape (N, H, W).
        wavelet: A name of PyWavelets.
        level: Number of levels.

    Returns:
        Approximation, then horizontal, vertical, diagonal details from coarse to fine, shape
        (N, 1 + 3 * level).
    """
    bands = pywt.wavedec2(images.astype(np.float64), wavelet, level=level, axes=(1, 2))
    flat = [bands[0], *(band for details in bands[1:] for band in details)]
    return np.stack([np.square(band).sum(axis=(1, 2)) for band in flat], axis=1)
