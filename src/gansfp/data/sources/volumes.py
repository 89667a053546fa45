"""What sources of CT volumes share: window, choice of slices, blank slices, copies."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gansfp.data.decode import Picture, map_levels
from gansfp.data.sources.base import RealImages, Source
from gansfp.data.sources.shaping import Shape, first_copies, stack
from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

AIR_TO_BONE = (-1000, 400)
"""The default window, HU: air to trabecular bone."""


@dataclass(frozen=True, slots=True)
class GreySlice:
    """One slice, windowed and shaped.

    Attributes:
        name: What the card calls it; unique.
        group: Its patient.
        where: What an error calls it: its file.
        pixels: Grey levels, uint8, shape (H, W).
        pixel_hash: Hash of the grey levels before cropping and scaling.
    """

    name: str
    group: str
    where: str
    pixels: NDArray[np.uint8]
    pixel_hash: str


class VolumeSource(Source):
    """Slices of CT volumes, each through one and the same window.

    The window is fixed: a window of each image's own range would erase the differences between
    scans that a generator learns. Slices of one grey level (outside the body) are left out, and so
    are repeats of a slice within its own group; a slice that two groups share is an error.

    Args:
        path: A folder; subfolders are read too.
        window: The Hounsfield units that become 0 and 255.
        slices: How many slices of each volume, or `all`.
        spread: Which ones: `even` over the volume, or the `middle` ones.
        resize: Side in pixels of the square images wanted; None keeps the slices' size.
        crop: Cut the middle square out of slices that are not square.
        limit: Take only so many slices, the first ones.
    """

    # Readers at work at once, each holding what one job needs. None: as many as there are CPUs.
    workers: ClassVar[int | None] = None

    def __init__(
        self,
        path: str,
        window: Sequence[float] = AIR_TO_BONE,
        slices: int | str = "all",
        spread: str = "even",
        resize: int | None = None,
        crop: bool = False,
        limit: int | None = None,
    ) -> None:
        self.path = Path(path).expanduser()
        self.window = _window(window)
        if isinstance(slices, str) and slices != "all":
            raise UserError(f"source.slices={slices}: must be a number of slices, or all")
        if isinstance(slices, int) and slices < 1:
            raise UserError(f"source.slices={slices}: must be at least 1")
        if spread not in ("even", "middle"):
            raise UserError(f"source.spread={spread}: choose even or middle")
        self.slices, self.spread = slices, spread
        self.shape = Shape(resize, crop)
        self.limit = limit

    def read(self) -> RealImages:
        """Read the slices, volume after volume.

        Raises:
            UserError: A file cannot be read, sizes are mixed, or two groups share a slice.
        """
        found: list[GreySlice] = []
        blank = 0
        with ThreadPoolExecutor(self.workers) as pool:
            # In batches, so that a limit ends the reading early.
            for batch in _batches(self._jobs(), 64):
                for slices in pool.map(self._run, batch):
                    kept = [one for one in slices if one.pixels.min() < one.pixels.max()]
                    blank += len(slices) - len(kept)
                    found += kept
                if self.limit is not None and len(found) >= self.limit:
                    break
        if blank:
            log.warning("%s: %d slices of one grey level left out", self.path, blank)
        found = self._without_copies(found[: self.limit])
        if not found:
            raise UserError(
                f"{self.path}: no slice shows anything between {self.window[0]:g} and "
                f"{self.window[1]:g}; set source.window"
            )
        return RealImages(
            stack([one.pixels for one in found], [one.where for one in found]),
            tuple(one.name for one in found),
            tuple(one.group for one in found),
            tuple(one.pixel_hash for one in found),
        )

    @abstractmethod
    def _jobs(self) -> Sequence[Any]:
        """List what `_run` reads at a time, in order.

        Raises:
            UserError: There is nothing to read.
        """

    @abstractmethod
    def _run(self, job: Any) -> list[GreySlice]:
        """Read the chosen slices of one job, in order; called from several threads."""

    def _grey(
        self, name: str, group: str, where: str, values: NDArray[Any], invert: bool = False
    ) -> GreySlice:
        """Window and shape one slice of Hounsfield units, shape (H, W)."""
        grey = map_levels(np.nan_to_num(values, nan=self.window[0]), self.window)
        if invert:
            grey = 255 - grey
        shaped = self.shape.apply(grey, where)
        return GreySlice(name, group, where, shaped, Picture(grey, "L").pixel_hash)

    def _choose(self, count: int) -> list[int]:
        """Choose slices of a volume of `count`."""
        return choose_slices(count, self.slices, self.spread)

    def _without_copies(self, slices: list[GreySlice]) -> list[GreySlice]:
        """Drop repeats within a group; one across groups would be member and non-member at once."""
        kept = []
        for k, first in enumerate(first_copies([one.pixel_hash for one in slices])):
            if first == k:
                kept.append(slices[k])
            elif slices[first].group != slices[k].group:
                raise UserError(
                    f"{slices[k].where}: the same image as {slices[first].where}, of another "
                    "patient; remove one of them"
                )
        if len(kept) < len(slices):
            log.warning("%s: %d repeated slices left out", self.path, len(slices) - len(kept))
        return kept


def choose_slices(count: int, slices: int | str, spread: str) -> list[int]:
    """Choose slices of a volume, ascending.

    Args:
        count: Slices that there are.
        slices: Slices wanted, or `all`; fewer slices than wanted are all taken.
        spread: `even` takes the middle of each of so many equal parts of the volume, `middle` a
            run of neighbours around its centre.

    Returns:
        Positions from 0.
    """
    if isinstance(slices, str) or slices >= count:
        return list(range(count))
    if spread == "middle":
        first = (count - slices) // 2
        return list(range(first, first + slices))
    return [(2 * k + 1) * count // (2 * slices) for k in range(slices)]


def _window(window: Sequence[float]) -> tuple[float, float]:
    if len(window) != 2 or not float(window[0]) < float(window[1]):
        raise UserError(f"source.window={list(window)}: must be two ascending numbers, in HU")
    return float(window[0]), float(window[1])


def _batches(jobs: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(jobs), size):
        yield jobs[start : start + size]
