"""The toy "generator": warped mixtures of members, so that a leak exists and can be dialled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ToyGenerator:
    """Makes images from members alone; it stands in for a trained GAN where seconds count.

    A sample is a convex mixture of a member and one of the members nearest to it, both bent by
    smooth random warps, filtered, and covered with noise. More warp or a larger mixture share
    leaks less.

    Attributes:
        warp: Standard deviation of the random displacements, in pixels of a 64-pixel image.
        mixture: Largest share of the second member.
        neighbours: The second member is one of so many nearest ones.
        noise: Standard deviation of the added noise, in grey levels.
        tilt: Exponent of the radial filter `(1 + f)^tilt` (f from 0 to 1, 1 at Nyquist): the
            generator's own spectrum.
        ripple: Amplitude of a faint periodic pattern, in grey levels: the generator's fingerprint.
        ripple_period: Its period in pixels.
    """

    warp: float = 1.8
    mixture: float = 0.3
    neighbours: int = 6
    noise: float = 3.0
    tilt: float = 0.0
    ripple: float = 0.0
    ripple_period: float = 4.0

    def sample(
        self, members: NDArray[np.uint8], count: int, rng: np.random.Generator
    ) -> NDArray[np.uint8]:
        """Draw images.

        Args:
            members: The images that the generator "was trained on", shape (n, S, S).
            count: Number of images to draw.
            rng: Where chance comes from.

        Returns:
            Grey levels, shape (count, S, S); none equals a member.
        """
        pixels = members.astype(np.float32)
        near = _nearest_members(pixels, self.neighbours)
        first = rng.permutation(np.arange(count) % len(members))
        second = near[first, rng.integers(0, near.shape[1], count)]
        share = rng.uniform(0, self.mixture, (count, 1, 1)).astype(np.float32)
        mixed = (1 - share) * self._bend(pixels[first], rng)
        mixed += share * self._bend(pixels[second], rng)
        mixed = self._colour(mixed)
        mixed += rng.normal(0, self.noise, mixed.shape).astype(np.float32)
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)

    def _bend(self, images: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Move every pixel by a smooth random field, its own for each image."""
        count, size, _ = images.shape
        scale = size / 64
        fields = rng.standard_normal((2, count, size, size)).astype(np.float32)
        fields = gaussian_filter(fields, (0, 0, 13 * scale, 13 * scale), mode="wrap")
        fields *= self.warp * scale / fields.std()
        axis = np.arange(size, dtype=np.float32)
        y, x = axis[:, None] + fields[0], axis[None, :] + fields[1]
        bent = [
            map_coordinates(image, (rows, columns), order=1, mode="constant")
            for image, rows, columns in zip(images, y, x, strict=True)
        ]
        return np.stack(bent)

    def _colour(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give images the generator's spectrum and its faint pattern."""
        size = images.shape[-1]
        frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]) * 2
        gain = (1 + frequency).astype(np.float32) ** self.tilt
        images = np.fft.irfft2(np.fft.rfft2(images) * gain, s=(size, size)).astype(np.float32)
        axis = np.arange(size)
        wave = np.cos(2 * np.pi * (axis[:, None] + 0.5 * axis[None]) / self.ripple_period)
        return images + np.float32(self.ripple) * wave.astype(np.float32)


def _nearest_members(pixels: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Find the `count` nearest other members of each member, shape (n, count)."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    flat -= flat.mean(axis=0)
    square = (flat**2).sum(axis=1)
    distance = square[:, None] + square[None] - 2 * flat @ flat.T
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1, kind="stable")[:, : min(count, len(pixels) - 1)]
