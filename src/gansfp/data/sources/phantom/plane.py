"""The plane of one slice: draws outlines given in millimetres into Hounsfield units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from gansfp.data.sources.phantom.curves import open_curve

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

AIR = -968.0  # what scanners read in the room's air, scatter and rounding included


class Plane:
    """A fine square raster that is painted over, back to front.

    The raster is finer than the images made of it, so the mean over a pixel's block is the
    partial volume of what was painted.

    Args:
        side: Pixels of the raster.
        field: Side of the field of view in mm.
        centre: Its middle in the patient's coordinates, x and y in mm.
        roll: The patient's turn about the long axis, radians.
        level: Level of the slice in mm.
        warp: Brings points of the standard body, (n, 2), to where the patient has them.
    """

    def __init__(
        self,
        side: int,
        field: float,
        centre: tuple[float, float],
        roll: float,
        level: float,
        warp: Callable[[Floats], Floats],
    ) -> None:
        self.side, self.scale, self.level = side, side / field, level
        self._centre = np.asarray(centre)
        self._turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
        self._warp = warp
        self._image = Image.new("F", (side, side), AIR)
        self._draw = ImageDraw.Draw(self._image)
        self._waiting: list[tuple[Floats, list[float]]] = []

    def to_raster(self, points: Floats, warped: bool = True) -> Floats:
        """Raster coordinates of points in mm, shape (n, 2); none but the body's are warped."""
        if warped:
            points = self._warp(points) @ self._turn
        raster: Floats = (points - self._centre) * self.scale + (self.side / 2 - 0.5)
        return raster

    def fill(self, curve: Floats, value: float) -> None:
        """Paint the inside of a closed curve, shape (n, 2), in Hounsfield units."""
        if len(curve) > 100:  # Pillow's time grows with the corners; a tenth of a mm is lost
            curve = curve[::2]
        self._waiting.append((curve[None], [value]))

    def fill_all(self, curves: Floats, values: Floats) -> None:
        """Paint the insides of closed curves, shape (m, n, 2), each in its value, shape (m,)."""
        self._waiting.append((curves, values.tolist()))

    def _paint(self) -> None:
        """Paint what waits, in order: all is warped at once, which costs little more than one."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        points = np.concatenate([curves.reshape(-1, 2) for curves, _ in waiting])
        raster = self.to_raster(points).ravel().tolist()
        canvas, start = self._draw.draw, 0  # `polygon` takes as long again to look at its options
        for curves, values in waiting:
            length = 2 * curves.shape[1]
            for value in values:
                canvas.draw_polygon(raster[start : start + length], canvas.draw_ink(value), 1)
                start += length

    def line(self, points: Floats, width: float, value: float, warped: bool = True) -> None:
        """Paint a smooth open line of some width in mm."""
        self._paint()
        drawn = self.to_raster(open_curve(points), warped)
        pixels = max(round(width * self.scale), 1)
        self._draw.line(drawn.ravel().tolist(), fill=value, width=pixels)

    @property
    def pixels(self) -> NDArray[np.float32]:
        """A copy of what was painted, Hounsfield units, shape (side, side)."""
        self._paint()
        return _view(self._image).copy()

    def mean(self, step: int) -> NDArray[np.float32]:
        """Means over blocks of `step` pixels, shape (side / step, side / step)."""
        self._paint()
        return _view(self._image.reduce(step) if step > 1 else self._image).copy()

    def replace(self, pixels: NDArray[np.float32]) -> None:
        """Go on painting over other pixels, shape (side, side)."""
        self._waiting = []
        self._image = Image.fromarray(pixels)
        self._draw = ImageDraw.Draw(self._image)


def _view(image: Image.Image) -> NDArray[np.float32]:
    """Pixels of a picture without a copy where Pillow can (11.2 on), read-only."""
    if not hasattr(image, "__arrow_c_array__"):
        return np.asarray(image)
    import pyarrow

    flat = pyarrow.array(image).to_numpy(zero_copy_only=True)
    return np.asarray(flat, dtype=np.float32).reshape(image.height, image.width)
