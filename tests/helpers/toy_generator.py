"""The toy "generator": warped mixtures of members, so that a leak exists and can be dialled."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from gansfp.data.writing import usable_cpus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_CHUNK_PIXELS = 1 << 22
_FIELD = 64
"""Largest grid that displacements are drawn on; they are so smooth that no finer one is needed."""


@dataclass(frozen=True, slots=True)
class _Chance:
    """All that is random in a chunk of n images.

    Attributes:
        first: White noise for the displacement of the first member, shape (2, n, G, G).
        second: Of the second.
        noise: What is added at the end, shape (n, S, S).
    """

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    noise: NDArray[np.float32]

    @classmethod
    def draw(cls, count: int, size: int, noise: float, rng: np.random.Generator) -> Self:
        grid = min(size, _FIELD)
        first, second = (
            rng.standard_normal((2, count, grid, grid)).astype(np.float32) for _ in range(2)
        )
        return cls(first, second, rng.normal(0, noise, (count, size, size)).astype(np.float32))


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
        return np.concatenate(list(self.draw(members, count, rng)))

    def draw(
        self, members: NDArray[np.uint8], count: int, rng: np.random.Generator
    ) -> Iterator[NDArray[np.uint8]]:
        """Draw the images of `sample` in chunks, the next ones made in threads meanwhile.

        Chance is drawn here, in order, and images are made of it in the threads: their number
        changes no pixel.
        """
        pixels = members.astype(np.float32)
        size = members.shape[-1]
        near = _nearest_members(pixels, self.neighbours)
        first = rng.permutation(np.arange(count) % len(members))
        second = near[first, rng.integers(0, near.shape[1], count)]
        share = rng.uniform(0, self.mixture, (count, 1, 1)).astype(np.float32)
        threads = usable_cpus()
        waiting: deque[Future[NDArray[np.uint8]]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            step = max(1, _CHUNK_PIXELS // size**2)
            for start in range(0, count, step):
                part = slice(start, start + step)
                chance = _Chance.draw(len(first[part]), size, self.noise, rng)
                pair = pixels[first[part]], pixels[second[part]]
                waiting.append(pool.submit(self._make, *pair, share[part], chance))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _make(
        self,
        first: NDArray[np.float32],
        second: NDArray[np.float32],
        share: NDArray[np.float32],
        chance: _Chance,
    ) -> NDArray[np.uint8]:
        mixed = (1 - share) * self._bend(first, chance.first)
        mixed += share * self._bend(second, chance.second)
        mixed = self._colour(mixed)
        mixed += chance.noise
        return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)

    def _bend(
        self, images: NDArray[np.float32], fields: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Move every pixel by a smooth random field, its own for each image."""
        size, grid = images.shape[-1], fields.shape[-1]
        scale = grid / 64
        fields = gaussian_filter(fields, (0, 0, 13 * scale, 13 * scale), mode="wrap")
        fields *= self.warp * scale / fields.std()
        if grid != size:
            enlarge = _enlarging(grid, size)
            fields = (size / grid) * (enlarge @ fields @ enlarge.T)
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


def _enlarging(grid: int, size: int) -> NDArray[np.float32]:
    """Linear interpolation of a periodic row of `grid` cells at `size` places, (size, grid)."""
    place = (np.arange(size) + 0.5) * grid / size - 0.5
    left = np.floor(place).astype(np.int64)
    weights = np.zeros((size, grid), np.float32)
    weights[np.arange(size), left % grid] = 1 - (place - left)
    weights[np.arange(size), (left + 1) % grid] = place - left
    return weights


def _nearest_members(pixels: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Find the `count` nearest other members of each member, shape (n, count)."""
    flat = pixels.reshape(len(pixels), -1).astype(np.float64)
    flat -= flat.mean(axis=0)
    square = (flat**2).sum(axis=1)
    distance = square[:, None] + square[None] - 2 * flat @ flat.T
    np.fill_diagonal(distance, np.inf)
    return np.argsort(distance, axis=1, kind="stable")[:, : min(count, len(pixels) - 1)]
