"""Closed smooth curves, tables along the body, and the smooth randomness between patients."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

_STEPS = 8


def _catmull_rom() -> Floats:
    """Weights of four neighbouring control points at the steps of one edge, shape (_STEPS, 4)."""
    t = np.arange(_STEPS) / _STEPS
    return np.stack(
        [
            -0.5 * t + t**2 - 0.5 * t**3,
            1 - 2.5 * t**2 + 1.5 * t**3,
            0.5 * t + 2 * t**2 - 1.5 * t**3,
            -0.5 * t**2 + 0.5 * t**3,
        ],
        axis=1,
    )


_WEIGHTS = _catmull_rom()


def closed_curve(points: Floats) -> Floats:
    """Smooth closed curve through control points (uniform Catmull-Rom).

    Args:
        points: Control points, shape (K, 2).

    Returns:
        Points on the curve, shape (8 K, 2).
    """
    curve: Floats = (_WEIGHTS @ points[_around(len(points))]).reshape(-1, 2)
    return curve


@lru_cache(maxsize=32)
def _around(count: int) -> NDArray[np.int64]:
    """For each point of a closed line the one before, itself and the next two, shape (K, 4)."""
    around: NDArray[np.int64] = (np.arange(count)[:, None] + np.arange(-1, 3)) % count
    return around


@lru_cache(maxsize=1)
def edge_steps(steps: int = 4) -> Floats:
    """Weights of four neighbours at the steps of one edge, its end included; (steps + 1, 4)."""
    return np.concatenate([_WEIGHTS[:: _STEPS // steps], [[0.0, 0.0, 1.0, 0.0]]])


def open_curve(points: Floats, steps: int = 4) -> Floats:
    """Smooth curve through the points of an open line, in 2 or 3 dimensions.

    Args:
        points: Shape (K, D).
        steps: Points for each edge.

    Returns:
        Shape (steps (K - 1) + 1, D), ends included.
    """
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    around = padded[np.arange(len(points) - 1)[:, None] + np.arange(4)]
    inner = _WEIGHTS[:: _STEPS // steps] @ around
    return np.concatenate([inner.reshape(-1, points.shape[1]), points[-1:]])


def ellipse(
    centre: Sequence[float] | Floats,
    radii: Sequence[float] | Floats,
    roll: float = 0.0,
    count: int = 40,
) -> Floats:
    """Points around an ellipse.

    Args:
        centre: x and y in mm.
        radii: Half axes in mm.
        roll: Turn of the first axis from x towards y, radians.
        count: Number of points.

    Returns:
        Shape (count, 2).
    """
    angle = np.arange(count) * (2 * np.pi / count)
    along, across = radii[0] * np.cos(angle), radii[1] * np.sin(angle)
    cos, sin = np.cos(roll), np.sin(roll)
    x = centre[0] + along * cos - across * sin
    y = centre[1] + along * sin + across * cos
    return np.stack([x, y], axis=1)


def normals(curve: Floats, smooth: int = 2) -> Floats:
    """Unit vectors across a closed curve, outwards where it runs clockwise in the image (y down).

    Args:
        curve: Points, shape (K, 2).
        smooth: Neighbours on each side that define the direction.

    Returns:
        Shape (K, 2).
    """
    longer = np.concatenate([curve[-smooth:], curve, curve[:smooth]])
    tangent = longer[2 * smooth :] - longer[: -2 * smooth]
    length = np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)
    turned: Floats = tangent[:, ::-1] * np.array([1.0, -1.0]) / length[:, None]
    return turned


def shrunk(curve: Floats, margin: float) -> Floats:
    """A closed curve, shape (K, 2), moved inwards by some mm, whatever its sense of rotation."""
    x, y = curve[:, 0], curve[:, 1]
    clockwise = x @ np.append(y[1:], y[0]) > y @ np.append(x[1:], x[0])
    return curve + normals(curve, 1) * (-margin if clockwise else margin)


class Profile:
    """A number, or an array of numbers, given at levels and smooth in between.

    Args:
        rows: Level in mm and the values there, in rising order of level. Constant beyond the ends.
    """

    def __init__(self, rows: Sequence[Sequence[float]]) -> None:
        table = np.asarray(rows, dtype=np.float64)
        self._levels, self._values = table[:, 0].tolist(), table[:, 1:]

    def __call__(self, level: float) -> Floats:
        """Values at a level, shape (C,)."""
        levels = self._levels
        k = min(max(bisect_left(levels, level) - 1, 0), len(levels) - 2)
        t = min(max((float(level) - levels[k]) / (levels[k + 1] - levels[k]), 0.0), 1.0)
        t = 0.5 * t + 0.5 * t * t * (3 - 2 * t)  # half way to smooth steps
        result: Floats = (1 - t) * self._values[k] + t * self._values[k + 1]
        return result

    def many(self, levels: Floats) -> Floats:
        """Values at several levels, shape (n, C), equal to those of one call each."""
        edges = np.asarray(self._levels)
        k = np.clip(np.searchsorted(edges, levels) - 1, 0, len(edges) - 2)
        t = np.clip((levels - edges[k]) / (edges[k + 1] - edges[k]), 0.0, 1.0)[:, None]
        t = 0.5 * t + 0.5 * t * t * (3 - 2 * t)
        result: Floats = (1 - t) * self._values[k] + t * self._values[k + 1]
        return result

    def one(self, level: float) -> float:
        """The first value at a level."""
        return float(self(level)[0])


@dataclass(frozen=True, slots=True)
class Warp:
    """A smooth displacement of space: few plane waves of random direction and phase.

    Attributes:
        waves: Wave vectors in radians a mm, shape (K, 3).
        phases: Shape (K,).
        sizes: Displacement of each wave in mm, shape (K, 2); none along z.
    """

    waves: NDArray[np.float32]
    phases: NDArray[np.float32]
    sizes: NDArray[np.float32]

    @classmethod
    def draw(
        cls, rng: np.random.Generator, size: float, lengths: tuple[float, float], count: int = 10
    ) -> Warp:
        """Draw a displacement of root mean square `size` mm with wave lengths in a range of mm."""
        direction = rng.standard_normal((count, 3))
        direction /= np.sqrt((direction**2).sum(1, keepdims=True))
        length = rng.uniform(*lengths, size=(count, 1))
        sizes = rng.standard_normal((count, 2)) * size * np.sqrt(2.0 / count)
        waves, phases = direction * 2 * np.pi / length, rng.uniform(0, 2 * np.pi, count)
        return cls(*(part.astype(np.float32) for part in (waves, phases, sizes)))

    def __add__(self, other: Warp) -> Warp:
        """Both displacements at once."""
        parts = ((self.waves, other.waves), (self.phases, other.phases), (self.sizes, other.sizes))
        return Warp(*(np.concatenate(part) for part in parts))

    def at(self, level: float) -> Callable[[Floats], Floats]:
        """The displacement of one level: a function of its points, shape (n, 2)."""
        across = np.ascontiguousarray(self.waves[:, :2].T)
        start = np.float32(level) * self.waves[:, 2] + self.phases

        def move(points: Floats) -> Floats:
            phase = points.astype(np.float32) @ across
            phase += start
            moved: Floats = points + np.sin(phase, out=phase) @ self.sizes
            return moved

        return move


@dataclass(frozen=True, slots=True)
class Wobble:
    """Bumps of a closed surface: Fourier waves around it whose phases turn with the level.

    Attributes:
        sizes: Height in mm of the waves with 2, 3, ... periods, shape (K,).
        phases: Shape (K,).
        turns: Radians a mm of level, shape (K,).
    """

    sizes: Floats
    phases: Floats
    turns: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, size: float, count: int = 6) -> Wobble:
        """Draw bumps of root mean square `size` mm; fine ones are low."""
        return cls.draw_all(rng, [size], count)[0]

    @classmethod
    def draw_all(
        cls, rng: np.random.Generator, sizes: Sequence[float], count: int = 6
    ) -> list[Wobble]:
        """Draw bumps for several surfaces, each with its root mean square in mm."""
        order = np.arange(2, 2 + count)
        heights, turns = rng.standard_normal((2, len(sizes), count))
        heights *= np.asarray(sizes)[:, None] / order * np.sqrt(2.0 / (1.0 / order**2).sum())
        phases = rng.uniform(0, 2 * np.pi, (len(sizes), count))
        return [cls(*parts) for parts in zip(heights, phases, turns / 60, strict=True)]

    def __call__(self, curve: Floats, level: float) -> Floats:
        """Move the points of a closed curve away from or towards its middle, shape (n, 2)."""
        middle = curve.sum(axis=0) / len(curve)
        arm = curve - middle
        radius = np.maximum(np.hypot(arm[:, 0], arm[:, 1]), 1e-6)
        angle = np.arctan2(arm[:, 1], arm[:, 0])
        order = np.arange(2, 2 + len(self.sizes), dtype=np.float32)
        phase = (self.phases + self.turns * level).astype(np.float32)
        waves = np.cos(angle.astype(np.float32)[:, None] * order + phase)
        size = min(1.0, float(radius.mean()) / 40)  # small cuts keep their shape
        grown = 1 + np.clip(size * (waves @ self.sizes) / radius, -0.4, 0.6)
        moved: Floats = middle + arm * grown[:, None]
        return moved


def smooth_field(coarse: Floats, side: int) -> NDArray[np.float32]:
    """Stretch a coarse grid of numbers smoothly over a square.

    Args:
        coarse: Shape (cells, cells); independent numbers make smooth noise.
        side: Side of the square wanted.

    Returns:
        Shape (side, side).
    """
    weights = _stretch(len(coarse), side)
    field: NDArray[np.float32] = weights @ coarse.astype(np.float32) @ weights.T
    return field


@lru_cache(maxsize=16)
def _stretch(cells: int, side: int) -> NDArray[np.float32]:
    """Weights of cubic B-splines on a grid of `cells`, scaled to keep variance; (side, cells)."""
    place = (np.arange(side) + 0.5) / side * (cells - 1)
    away = np.abs(place[:, None] - np.arange(cells))
    inner = 2 / 3 - away**2 + away**3 / 2
    outer = np.maximum(2 - away, 0) ** 3 / 6
    weights = np.where(away < 1, inner, outer)
    weights /= np.sqrt((weights**2).sum(1, keepdims=True))
    return weights.astype(np.float32)
