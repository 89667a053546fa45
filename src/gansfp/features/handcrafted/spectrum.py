"""Power of an image over radial frequency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLOOR = 1e-12
_BLOCK = 256


def radial_spectra(images: NDArray[Any], bins: int | None = None) -> NDArray[np.float64]:
    """Average the power spectrum over rings of equal frequency, and take its logarithm.

    Durall et al., "Watch your up-convolution", CVPR 2020. The mean is subtracted and a Hann window
    keeps the borders of the image out of the spectrum.

    Args:
        images: Shape (N, H, W); any real dtype.
        bins: Rings from 0 to the Nyquist frequency; None: half the shorter side, so that each is
            one cycle a field of view wide. A ring that holds no frequency repeats the one inside
            it.

    Returns:
        Natural logarithm of the mean power in each ring, shape (N, bins).
    """
    _, height, width = images.shape
    bins = bins if bins is not None else min(height, width) // 2
    ring = _rings(height, width, bins)
    kept = ring < bins
    counts = np.bincount(ring[kept], minlength=bins)
    window = np.outer(np.hanning(height), np.hanning(width))
    result = np.empty((len(images), bins))
    for start in range(0, len(images), _BLOCK):
        grey = images[start : start + _BLOCK].astype(np.float64)
        grey -= grey.mean(axis=(1, 2), keepdims=True)
        power = np.abs(np.fft.fft2(grey * window)) ** 2
        for n, one in enumerate(power):
            total = np.bincount(ring[kept], weights=one[kept], minlength=bins)
            result[start + n] = np.log(total / np.maximum(counts, 1) + _FLOOR)
    # Which ring that holds a frequency is at or inside each ring: ring 0 holds the mean.
    holding = np.maximum.accumulate(np.where(counts > 0, np.arange(bins), 0))
    return np.asarray(result[:, holding], np.float64)


def _rings(height: int, width: int, bins: int) -> NDArray[np.int64]:
    """Number the ring of each frequency, shape (H, W); `bins` and more lie beyond Nyquist."""
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    ring: NDArray[np.int64] = np.floor(radius / 0.5 * bins + 1e-9).astype(np.int64)
    return ring
