"""Draws one slice of one patient: anatomy, then scanner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.abdomen import paint_abdomen
from gansfp.data.sources.phantom.couch import paint_clothes, paint_couch
from gansfp.data.sources.phantom.curves import smooth_field
from gansfp.data.sources.phantom.lesions import paint_lesions
from gansfp.data.sources.phantom.neck import paint_neck
from gansfp.data.sources.phantom.plane import Plane
from gansfp.data.sources.phantom.scanner import Scanner, blur, noise, to_grey
from gansfp.data.sources.phantom.skeleton import (
    paint_ribs,
    paint_shoulder,
    paint_spine,
    paint_sternum,
)
from gansfp.data.sources.phantom.thorax import paint_heart, paint_lungs
from gansfp.data.sources.phantom.vessels import Vessels, paint_great_vessels, paint_lung_trees
from gansfp.data.sources.phantom.wall import paint_shoulders, paint_wall, shell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient

    Pixels = NDArray[np.float32]

_RASTER = 384


@dataclass(frozen=True, slots=True)
class Setting:
    """What an examination looks like, beside the patient.

    Attributes:
        image_size: Side of the images in pixels.
        noise: Noise over the usual; 0 for none.
        sharpness: Cut-off of the kernel over the usual.
        window: Hounsfield units that become 0 and 255.
    """

    image_size: int = 64
    noise: float = 1.0
    sharpness: float = 1.0
    window: tuple[float, float] = (-1000.0, 400.0)


def draw_scanner(patient: Patient, setting: Setting) -> tuple[Scanner, tuple[float, float], float]:
    """How a patient is scanned: scanner, middle of the field (mm) and roll (radians)."""
    rng = patient.rng("scanner")
    skin = patient.warp(20.0)(shell(patient, 20.0).skin)
    middle = (skin.min(0) + skin.max(0)) / 2
    reach = np.sqrt(((skin - middle) ** 2).sum(1)).max()
    field = float(np.clip(2 * reach * np.exp(rng.normal(-0.025, 0.08)), 270, 500))
    sharp = rng.uniform() < 0.35
    cutoff = (0.62 if sharp else 0.42) * np.exp(0.12 * rng.standard_normal()) * setting.sharpness
    dose = 17000 * np.exp(0.3 * rng.standard_normal()) / max(setting.noise, 1e-6) ** 2
    circle = rng.uniform(1.0, 1.05) if rng.uniform() < 0.65 else 9.0
    scanner = Scanner(field, float(dose), float(cutoff), 0.45 if sharp else 0.05, circle)
    middle = middle + rng.normal(0, (6, 9)) - (0, 6)
    return scanner, (float(middle[0]), float(middle[1])), float(rng.normal(0, 0.035))


def hounsfield(
    patient: Patient, vessels: Vessels, level: float, setting: Setting
) -> tuple[Pixels, Scanner]:
    """Anatomy of one slice without scanner noise or blur.

    Args:
        patient: Whose slice.
        vessels: The patient's vessels.
        level: Level in mm below the carina.
        setting: The examination.

    Returns:
        Hounsfield units, shape (image_size, image_size), and the scanner.
    """
    scanner, middle, roll = draw_scanner(patient, setting)
    size = setting.image_size
    side = size * max(2, -(-_RASTER // size))
    side += side % 2 * size
    level = patient.to_standard(level)
    plane = Plane(side, scanner.field, middle, roll, level, patient.warp(level))
    _paint_outside(plane, patient, level)
    _paint_trunk(plane, patient, vessels, level)
    return plane.mean(side // size), scanner


def render(patient: Patient, vessels: Vessels, level: float, setting: Setting) -> NDArray[np.uint8]:
    """One slice as grey levels, shape (image_size, image_size); same arguments as `hounsfield`."""
    clean, scanner = hounsfield(patient, vessels, level, setting)
    image = blur(clean, scanner)
    if setting.noise > 0:
        rng = patient.rng("noise", round((level + 1000) * 1000))
        image = image + noise(clean, scanner, rng)
    if scanner.circle < 1.5:
        axis = (np.arange(len(image)) + 0.5) / len(image) * 2 - 1
        image = np.where(axis**2 + axis[:, None] ** 2 <= scanner.circle**2, image, -2000)
    return to_grey(image, setting.window)


def _paint_outside(plane: Plane, patient: Patient, level: float) -> None:
    skin = shell(patient, max(level, -20.0)).skin
    lowest = shell(patient, 20.0).skin[:, 1].max() * patient.scale[1]
    paint_couch(plane, patient, float(lowest))
    paint_clothes(plane, patient, skin)


def _paint_trunk(plane: Plane, patient: Patient, vessels: Vessels, level: float) -> None:
    """Back to front: wall, lungs with all inside of them, organs, bones."""
    if level < -60:
        paint_shoulders(plane, patient, level)
    if level > -100:
        paint_wall(plane, patient, level)
    paint_shoulder(plane, patient, level)
    paint_lungs(plane, patient, level)
    _paint_lung_inside(plane, patient, vessels, level)
    paint_abdomen(plane, patient, level)
    paint_neck(plane, patient, level)
    paint_heart(plane, patient, level)
    paint_great_vessels(plane, vessels)
    paint_ribs(plane, patient, level)
    paint_sternum(plane, patient, level)
    paint_spine(plane, patient, level)


def _paint_lung_inside(plane: Plane, patient: Patient, vessels: Vessels, level: float) -> None:
    """Texture of the lungs, vessels, bronchi and lesions."""
    pixels = plane.pixels
    traits = patient.traits
    lungs = pixels == np.float32(traits.lung)
    if not lungs.any():
        return
    side = plane.side
    half = side // 2  # fine enough for a texture
    field = _texture(patient, level, half)
    field += np.linspace(-1, 1, half, dtype=np.float32)[:, None] * np.float32(traits.gravity)
    rows = np.flatnonzero(lungs.any(axis=1))
    top, bottom = rows[0] // 2, rows[-1] // 2 + 1  # the lungs take half of the rows
    blocks = pixels.reshape(half, 2, half, 2)[top:bottom]
    blocks += field[top:bottom, None, :, None] * lungs.reshape(half, 2, half, 2)[top:bottom]
    plane.replace(pixels)
    paint_lung_trees(plane, vessels)
    paint_lesions(plane, patient, lungs, level)


def _texture(patient: Patient, level: float, side: int) -> Pixels:
    """Uneven density of the lungs, the same for a patient's neighbouring slices."""
    total = np.zeros((side, side), np.float32)
    for thick, cells, size in ((24.0, 10, 9.0), (8.0, 45, 9.0)):
        low = int(np.floor(level / thick))
        share = level / thick - low
        near, far = (_grid(patient, cells, k) for k in (low, low + 1))
        mixed = ((1 - share) * near + share * far) / np.sqrt(share**2 + (1 - share) ** 2)
        total += smooth_field(size * mixed, side)
    total += smooth_field(26.0 * _grid(patient, 90, round(level / 2.5)), side)
    return total


def _grid(patient: Patient, cells: int, layer: int) -> Pixels:
    """Independent standard normal numbers of one layer of a patient, shape (cells, cells)."""
    return patient.rng("texture", cells, layer).standard_normal((cells, cells), np.float32)
