"""Virtual patients as a source of real images."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from gansfp.data.sources.base import RealImages, Source
from gansfp.data.sources.phantom.patient import Patient
from gansfp.data.sources.phantom.render import Setting, render
from gansfp.data.sources.phantom.vessels import Vessels
from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

# Mean, spread, least and most of the level of a patient's middle slice, mm below the carina.
REGIONS = {
    "chest": (40.0, 17.0, -10.0, 85.0),
    "neck": (-125.0, 30.0, -200.0, -85.0),
    "abdomen": (205.0, 40.0, 130.0, 290.0),
    "mixed": (40.0, 1000.0, -200.0, 290.0),
}
# Where a level of a mixed pool belongs, mm below the carina: midway between the ranges above.
_NECK_ENDS, _CHEST_ENDS = -47.5, 107.5
_EVERY_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Pool:
    """What defines the patients and slices of a pool, but for their numbers.

    Attributes:
        seed: Seed of the pool.
        slices: Slices of each patient.
        spacing: Distance in mm between a patient's slices.
        region: A key of `REGIONS`.
        levels: Between which levels a mixed pool lies, mm below the carina.
        severity: Least and most severity of the ill, and their share.
        sex: "female", "male" or None for both.
        setting: The examination.
    """

    seed: int
    slices: int
    spacing: float
    region: str
    levels: tuple[float, float]
    severity: tuple[float, float, float]
    sex: str | None
    setting: Setting

    def patient(self, number: int) -> Patient:
        """A patient, whoever else is drawn."""
        return Patient(self.seed, number, self._severity, self.sex)

    def levels_of(self, patient: Patient) -> list[float]:
        """Levels of a patient's slices, mm below the carina, from top to bottom."""
        mean, spread, least, most = REGIONS[self.region]
        rng = patient.rng("level")
        u = float(rng.uniform())
        middle = float(np.clip(mean + spread * rng.standard_normal(), least, most))
        if self.region == "mixed":
            least, most = self.levels
            middle = least + u * (most - least)
        steps = np.arange(self.slices) - (self.slices - 1) / 2
        return [middle + float(step) * self.spacing for step in steps]

    def draw(self, number: int) -> tuple[NDArray[np.uint8], list[float], Patient]:
        """Draw all slices of a patient, shape (slices, H, W)."""
        patient = self.patient(number)
        vessels = Vessels(patient)
        levels = self.levels_of(patient)
        pixels = np.stack([render(patient, vessels, level, self.setting) for level in levels])
        return pixels, levels, patient

    def _severity(self, u: float) -> float:
        low, high, share = self.severity
        return low + (high - low) * (1 - u / share) if u < share else 0.0


class PhantomSource(Source):
    """Slices of virtual patients in a virtual CT scanner.

    Patient i depends on the seed and on i alone, a slice on the patient and its level. The
    covariates are severity, female (0 or 1), age (years), fat (mm under the skin) and level (mm
    below the carina), and in a mixed pool region (neck, chest or abdomen, by the level).

    Args:
        patients: Number of patients.
        slices: Slices of each.
        image_size: Side of the images in pixels.
        region: chest, neck, abdomen, or mixed (anywhere between).
        levels: Least and most level of a mixed pool, mm below the carina; None: from -200 (jaw) to
            290 (navel). The nearer to the chest, the more alike are the regions.
        lesions: Share of patients with lung lesions, whose severity is uniform from 0 to 1. Or two
            numbers: all have lesions, of severity between these.
        sex: female, male, or None for both.
        spacing: Distance between a patient's slices in mm.
        noise: Scanner noise over the usual; 0 for none.
        sharpness: Cut-off frequency of the kernel over the usual.
        window: Hounsfield units that become black and white.
        seed: Seed of the pool of patients.
        first_patient: Number of the first patient; pools that do not overlap share nobody.
        workers: Processes that draw; None: one for each core. Changes no pixel.
    """

    def __init__(
        self,
        patients: int,
        slices: int = 1,
        image_size: int = 64,
        region: str = "chest",
        levels: Sequence[float] | None = None,
        lesions: float | Sequence[float] = 0.4,
        sex: str | None = None,
        spacing: float = 8.0,
        noise: float = 1.0,
        sharpness: float = 1.0,
        window: Sequence[float] = (-1000.0, 400.0),
        seed: int = 0,
        first_patient: int = 0,
        workers: int | None = None,
    ) -> None:
        for name, value, least in (
            ("patients", patients, 1),
            ("slices", slices, 1),
            ("image_size", image_size, 16),
            ("seed", seed, 0),
            ("first_patient", first_patient, 0),
            ("workers", 1 if workers is None else workers, 1),
        ):
            if value < least:
                raise UserError(f"source.{name}={value}: must be at least {least}")
        if region not in REGIONS:
            raise UserError(f"source.region={region}: choose one of {', '.join(REGIONS)}")
        if levels is not None and (region != "mixed" or len(levels) != 2 or levels[0] >= levels[1]):
            raise UserError(
                f"source.levels={list(levels)}: two rising numbers, with source.region=mixed"
            )
        if sex not in (None, "female", "male"):
            raise UserError(f"source.sex={sex}: choose female, male or null for both")
        if noise < 0 or sharpness <= 0 or spacing <= 0:
            raise UserError("source.noise must be 0 or more, sharpness and spacing positive")
        low, high = (float(level) for level in window)
        if low >= high:
            raise UserError(f"source.window={list(window)}: must be two rising Hounsfield units")
        setting = Setting(image_size, float(noise), float(sharpness), (low, high))
        self.patients, self.first_patient, self.workers = patients, first_patient, workers
        top, bottom = (float(level) for level in levels or REGIONS["mixed"][2:])
        self.pool = Pool(
            seed, slices, spacing, region, (top, bottom), _severity(lesions), sex, setting
        )

    def read(self) -> RealImages:
        """Draw all patients."""
        numbers = range(self.first_patient, self.first_patient + self.patients)
        side, slices = self.pool.setting.image_size, self.pool.slices
        pixels = np.empty((len(numbers), slices, side, side), np.uint8)
        names, groups, rows = [], [], []
        for k, (drawn, levels, patient) in enumerate(self._draw(numbers)):
            pixels[k] = drawn
            group = f"patient_{numbers[k]:05d}"
            traits = patient.traits
            for number, level in enumerate(levels):
                names.append(f"{group}_slice_{number}")
                groups.append(group)
                rows.append((traits.severity, traits.female, traits.age, traits.fat, level))
        images = pixels.reshape(-1, side, side)
        hashes = tuple(
            hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in images
        )
        columns = np.asarray(rows, dtype=np.float64).T
        covariates: dict[str, NDArray[np.float64] | NDArray[np.str_]] = dict(
            zip(("severity", "female", "age", "fat", "level"), columns, strict=True)
        )
        if self.pool.region == "mixed":
            covariates["region"] = region_of(covariates["level"])
        return RealImages(images, tuple(names), tuple(groups), hashes, covariates)

    def _draw(self, numbers: range) -> Iterator[tuple[NDArray[np.uint8], list[float], Patient]]:
        """Draw patients in order, in this process or several."""
        workers = min(self.workers or os.cpu_count() or 1, -(-len(numbers) // 16))
        task = partial(Pool.draw, self.pool)
        if workers == 1:
            with _one_thread():
                yield from _logged(map(task, numbers), len(numbers))
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _one_thread) as executor:
            yield from _logged(executor.map(task, numbers, chunksize=8), len(numbers))


def _one_thread() -> threadpool_limits:
    """Keep BLAS to one thread: the products are so small that threads wait for each other."""
    return threadpool_limits(1, "blas")


def region_of(level: NDArray[Any]) -> NDArray[np.str_]:
    """Name the region of levels in mm below the carina, shape (n,)."""
    names = np.array(["neck", "chest", "abdomen"])
    return np.asarray(names[np.digitize(level, (_NECK_ENDS, _CHEST_ENDS))])


def _severity(lesions: float | Sequence[float]) -> tuple[float, float, float]:
    """Least and most severity of the ill, and their share."""
    if isinstance(lesions, int | float):
        low, high, share = 0.0, 1.0, float(lesions)
    else:
        if len(lesions) != 2:
            raise UserError(f"source.lesions={list(lesions)}: give one share or two severities")
        low, high, share = float(lesions[0]), float(lesions[1]), 1.0
    if not 0 <= low <= high <= 1 or not 0 <= share <= 1:
        raise UserError(f"source.lesions={lesions}: must lie between 0 and 1")
    return low, high, share


def _logged(
    drawn: Iterator[tuple[NDArray[np.uint8], list[float], Patient]], total: int
) -> Iterator[tuple[NDArray[np.uint8], list[float], Patient]]:
    """Pass patients on; now and then a line about how many there are."""
    started = shown = time.monotonic()
    for done, item in enumerate(drawn, start=1):
        now = time.monotonic()
        if now - shown >= _EVERY_SECONDS:
            shown = now
            log.info("%d of %d patients drawn, %.0f a second", done, total, done / (now - started))
        yield item
