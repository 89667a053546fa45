"""Vessels and airways as tapering tubes in space, and their cuts with the plane of a slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.curves import open_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

_STATIONS = 0.5 - 0.5 * np.cos(np.arange(9) * np.pi / 8)  # denser where discs change fast
_ANGLES = np.arange(16) * (2 * np.pi / 16)
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)


@dataclass(frozen=True, slots=True)
class Tubes:
    """Straight pieces of tube.

    Attributes:
        start: Where each begins, x, y, z in mm, shape (n, 3).
        stop: Where it ends, shape (n, 3).
        start_radius: In mm, shape (n,).
        stop_radius: Shape (n,).
    """

    start: Floats
    stop: Floats
    start_radius: Floats
    stop_radius: Floats

    @classmethod
    def along(cls, rows: Sequence[Sequence[float]] | Floats) -> Tubes:
        """A smooth tube through points; each row is x, y, z and radius in mm."""
        line = open_curve(np.asarray(rows, dtype=np.float64))
        return cls(line[:-1, :3], line[1:, :3], line[:-1, 3], line[1:, 3])

    @classmethod
    def joined(cls, parts: Sequence[Tubes]) -> Tubes:
        """All of several lots of tubes."""
        if not parts:
            return cls(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))
        rows = [(p.start, p.stop, p.start_radius, p.stop_radius) for p in parts]
        return cls(*(np.concatenate(column) for column in zip(*rows, strict=True)))

    def grown(self, extra: float) -> Tubes:
        """The same tubes with a wall of some mm around them."""
        return Tubes(self.start, self.stop, self.start_radius + extra, self.stop_radius + extra)

    def shifted(self, offset: Floats) -> Tubes:
        """The same tubes elsewhere; `offset` in mm, shape (3,) or (n, 3)."""
        radii = self.start_radius, self.stop_radius
        return Tubes(self.start + offset, self.stop + offset, *radii)

    def __getitem__(self, chosen: NDArray[np.bool_]) -> Tubes:
        parts = (self.start, self.stop, self.start_radius, self.stop_radius)
        return Tubes(*(part[chosen] for part in parts))

    def near(self, level: float, thick: float = 0.0) -> NDArray[np.bool_]:
        """Which tubes a slab of some thickness around a plane meets, shape (n,)."""
        radius = np.maximum(self.start_radius, self.stop_radius) + thick / 2
        low = np.minimum(self.start[:, 2], self.stop[:, 2]) - radius
        high = np.maximum(self.start[:, 2], self.stop[:, 2]) + radius
        met: NDArray[np.bool_] = (low < level) & (level < high)
        return met

    def share(self, thick: float) -> Floats:
        """How much of a slab's thickness each tube fills where it crosses, shape (n,), 0 to 1.

        A tube along z fills all of it; one in the plane, only its diameter.
        """
        axis = self.stop - self.start
        length = np.maximum(np.sqrt((axis**2).sum(1)), 1e-9)
        width = (self.start_radius + self.stop_radius) / thick
        filled: Floats = np.minimum(1.0, np.maximum(np.abs(axis[:, 2]) / length, width))
        return filled


def cut(tubes: Tubes, level: float, thick: float = 0.0) -> Floats:
    """Outlines of the cuts of tubes with a slab.

    A tube is swept by a ball whose radius changes evenly. A plane at height h(t) from the ball's
    middle cuts it in a disc of radius sqrt(r(t)^2 - h(t)^2); in a slab the nearest plane counts.
    The outline is the convex hull of these discs.

    Args:
        tubes: The m tubes that the slab meets (`near`).
        level: z of the slab's middle in mm.
        thick: Its thickness in mm.

    Returns:
        Closed outlines in mm, shape (m, 16, 2).
    """
    axis = tubes.stop - tubes.start
    slope, height = axis[:, 2], tubes.start[:, 2] - level
    taper = tubes.stop_radius - tubes.start_radius
    # Where |h(t)| = r(t) + thick / 2: two linear equations, clipped to the piece.
    reach = tubes.start_radius + thick / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(reach - height) / (slope - taper), (-reach - height) / (slope + taper)])
    ends = np.sort(np.nan_to_num(ends, nan=0.0, posinf=2.0, neginf=-1.0), axis=0)
    flat = np.abs(slope) <= np.abs(taper) + 1e-9
    first = np.where(flat, 0.0, np.clip(ends[0], 0, 1))
    last = np.where(flat, 1.0, np.clip(ends[1], 0, 1))
    t = first[:, None] + (last - first)[:, None] * _STATIONS
    centre = tubes.start[:, None, :2] + t[..., None] * axis[:, None, :2]
    radius = tubes.start_radius[:, None] + t * taper[:, None]
    away = np.maximum(np.abs(height[:, None] + t * slope[:, None]) - thick / 2, 0.0)
    width = np.sqrt(np.maximum(radius**2 - away**2, 0.0))
    return _outline(centre, width)


def _outline(centre: Floats, width: Floats) -> Floats:
    """Convex hull of discs: in each direction the farthest point of any, shape (m, 16, 2)."""
    reach = centre @ _DIRECTIONS.T + width[..., None]
    farthest = reach.argmax(1)
    rows = np.arange(len(centre))[:, None]
    outline: Floats = centre[rows, farthest] + width[rows, farthest][..., None] * _DIRECTIONS
    return outline
