"""Fingerprints of classes, and how strongly an image shows each: functions of residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Residuals = NDArray[np.float32]

_DEAD = 1e-9
"""Share of the strongest frequency's power below which there is nothing but rounding."""

_BLOCK = 512


@dataclass(frozen=True)
class Whitening:
    """Makes the residuals of real images white: without a mean, of equal power everywhere.

    A fingerprint in white noise is best found by correlation (the matched filter). Residuals of
    real images are not white: the denoiser shapes their spectrum, anatomy their mean.

    Attributes:
        mean: Mean residual of real images, shape (H, W).
        gain: Factor of each frequency of `numpy.fft.rfft2`, shape (H, W // 2 + 1); 0 where real
            residuals have no power.
    """

    mean: Array
    gain: Array

    @classmethod
    def fit(cls, real: Residuals) -> Whitening:
        """Measure real images.

        Args:
            real: Residuals of real images, shape (n, H, W), n at least 2.
        """
        mean = real.mean(axis=0, dtype=np.float64)
        power = np.zeros((real.shape[1], real.shape[2] // 2 + 1))
        for start in range(0, len(real), _BLOCK):
            block = np.fft.rfft2(real[start : start + _BLOCK] - mean)
            power += (np.abs(block) ** 2).sum(axis=0)
        power /= len(real)
        alive = power > _DEAD * power.max(initial=0.0)
        gain = np.zeros(power.shape)
        gain[alive] = 1 / np.sqrt(power[alive])
        return cls(mean, gain)

    @classmethod
    def none(cls, height: int, width: int) -> Whitening:
        """Leave residuals as they are."""
        return cls(np.zeros((height, width)), np.ones((height, width // 2 + 1)))

    def apply(self, residuals: Residuals) -> Array:
        """Whiten residuals: shape (n, H, W) to float64 (n, H * W)."""
        flat = np.empty((len(residuals), self.mean.size))
        for start in range(0, len(residuals), _BLOCK):
            block = np.fft.rfft2(residuals[start : start + _BLOCK] - self.mean) * self.gain
            white = np.fft.irfft2(block, s=self.mean.shape)
            flat[start : start + _BLOCK] = white.reshape(len(white), -1)
        return flat


def class_means(vectors: Array, targets: NDArray[np.int64], classes: int) -> Array:
    """Average the vectors of each class, all of which are present: shape (classes, D)."""
    return np.stack([vectors[targets == k].mean(axis=0) for k in range(classes)])


def correlations(vectors: Array, fingerprints: Array) -> Array:
    """Correlate (Pearson's r) each vector with each fingerprint; 0 where one is constant.

    Args:
        vectors: Shape (n, D).
        fingerprints: Shape (classes, D).

    Returns:
        Shape (n, classes).
    """
    return _standardised(vectors) @ _standardised(fingerprints).T


def _standardised(vectors: Array) -> Array:
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.where(norm > 0, norm, np.inf))
