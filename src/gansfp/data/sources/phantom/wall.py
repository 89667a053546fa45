"""Skin, fat, muscle and breasts: what is around the rib cage; the table; clothes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.curves import Profile, closed_curve, ellipse, normals, shrunk
from gansfp.data.sources.phantom.thorax import cage_outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane

    Floats = NDArray[np.floating]

FAT = -102.0
# Muscle in mm outside of the rib cage at angles from the front (0) to the back (1), by level.
_ANGLES = np.array([0.0, 0.10, 0.22, 0.34, 0.46, 0.58, 0.70, 0.80, 0.90, 0.96, 1.0])
_MUSCLE = Profile(
    [
        (-110, 10, 22, 36, 40, 40, 40, 38, 34, 32, 30, 28),
        (-70, 12, 17, 25, 30, 30, 30, 30, 30, 32, 31, 29),
        (-20, 12, 14, 21, 26, 24, 27, 32, 30, 30, 31, 28),
        (30, 12, 13.5, 16, 18, 18, 24, 30, 25, 27, 31, 28),
        (80, 12, 12.5, 13, 14, 16, 21, 24, 21, 26, 32, 28),
        (140, 10, 11, 12, 13, 15, 18, 17, 18, 30, 37, 28),
        (240, 9, 12, 12, 14, 16, 16, 16, 20, 34, 40, 28),
        (330, 9, 12, 12, 16, 18, 18, 18, 24, 36, 40, 28),
    ]
)
# Fat over the fat at the flank, at the same angles.
_FAT = Profile(
    [
        (-110, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.6, 0.5),
        (-20, 0.6, 0.75, 0.85, 0.8, 1.0, 1.2, 1.1, 0.8, 0.55, 0.4, 0.30),
        (60, 0.65, 0.8, 0.85, 0.8, 1.0, 1.1, 1.0, 0.8, 0.55, 0.4, 0.30),
        (140, 0.8, 0.9, 0.8, 0.7, 0.9, 1.0, 1.0, 0.8, 0.6, 0.5, 0.4),
        (260, 1.4, 1.4, 1.3, 1.1, 1.1, 1.3, 1.4, 1.2, 0.9, 0.7, 0.6),
    ]
)


def _place(outline: Floats) -> Floats:
    """How far around the half cage each point is, 0 in front to 1 behind."""
    half = len(outline) // 2
    step = np.sqrt(((np.roll(outline, -1, axis=0) - outline) ** 2).sum(1))
    arc = np.concatenate([[0.0], np.cumsum(step[:half])])
    t = arc / arc[-1]
    return np.concatenate([t[:half], t[::-1][: len(outline) - half]])


@lru_cache(maxsize=16)
def _frame(level: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Rib cage, place around it, directions outwards, and thickness of muscle, at a level."""
    cage = cage_outline(level)
    place = _place(cage)
    return cage, place, normals(cage, 7), np.interp(place, _ANGLES, _MUSCLE(level))


@dataclass(frozen=True, slots=True)
class Shell:
    """What is around the rib cage at one level, from the front over the left; shape (K,) or (K, 2).

    Attributes:
        cage: Inside of the rib cage.
        place: How far around the half cage each point is, 0 in front to 1 behind.
        out: Directions outwards.
        muscle: Thickness in mm; the inner 11 mm are ribs and what holds them.
        fat: Thickness of the fat under the skin.
        gland: Thickness of the gland in the breasts.
        skin: Outline of the body.
    """

    cage: Floats
    place: Floats
    out: Floats
    muscle: Floats
    fat: Floats
    gland: Floats
    skin: Floats


@lru_cache(maxsize=4)
def shell(patient: Patient, level: float) -> Shell:
    """The trunk's wall without shoulders."""
    cage, place, out, thick = _frame(level)
    muscle = np.minimum(thick, 11) + np.maximum(thick - 11, 0) * patient.traits.muscle
    fat = _fat(patient, level, place)
    breast, gland = _breast(patient, level, place)
    skin = patient.bumps("body", cage + out * (muscle + fat + breast + 2)[:, None], level)
    flat = skin[:, 1].max() - 13  # the body's weight flattens the back on the table
    skin[:, 1] = np.where(skin[:, 1] > flat, flat + 0.2 * (skin[:, 1] - flat), skin[:, 1])
    return Shell(cage, place, out, muscle, fat, gland, skin)


def _fat(patient: Patient, level: float, place: Floats) -> Floats:
    """Thickness of fat under the skin around the cage in mm, with rolls at the flanks."""
    rng = patient.rng("fat")
    fat = patient.traits.fat * np.interp(place, _ANGLES, _FAT(level))
    half = len(place) // 2
    for side in (slice(0, half), slice(half, None)):
        centre, width = rng.uniform(0.42, 0.68), rng.uniform(0.12, 0.22)
        height = max(0.0, rng.normal(3, 6)) * (0.6 + patient.traits.fat / 30)
        height *= 1 + 0.5 * np.sin(level / 30 + rng.uniform(0, 6))
        fat[side] += height * np.exp(-(((place[side] - centre) / width) ** 2))
    return fat


def _breast(patient: Patient, level: float, place: Floats) -> tuple[Floats, Floats]:
    """Height of the breasts over the fat, and of the gland in them, around the cage in mm."""
    traits = patient.traits
    height, gland = np.zeros(len(place)), np.zeros(len(place))
    rise = np.exp(-(((level - 38) / 55) ** 2)) - 0.10
    if traits.breast <= 0 or rise <= 0:
        return height, gland
    rng = patient.rng("breasts")
    half, fall = len(place) // 2, rng.uniform(0, 0.12)
    for side in (slice(0, half), slice(half, None)):
        centre = 0.23 + fall + rng.normal(0, 0.02)
        size = traits.breast * rise * np.exp(0.10 * rng.standard_normal())
        away = (place[side] - centre) / np.where(place[side] < centre, 0.20, 0.24)
        height[side] = size * np.where(np.abs(away) < 1, np.cos(away * np.pi / 2), 0) ** 1.3
        wide = np.where(np.abs(away) < 0.7, np.cos(away * np.pi / 1.4), 0)
        gland[side] = (6 + size) * traits.gland * 0.8 * np.sqrt(np.maximum(wide, 0))
    return height, gland


def paint_wall(plane: Plane, patient: Patient, level: float) -> None:
    """Skin, fat, breasts, muscle and the fat between muscles."""
    wall = shell(patient, level)
    plane.fill(wall.skin, -10.0)
    plane.fill(shrunk(wall.skin, 1.5), FAT)
    _paint_glands(plane, patient, wall)
    muscle = patient.bumps("muscle", wall.cage + wall.out * wall.muscle[:, None], level)
    plane.fill(muscle, patient.traits.tissue)
    _paint_planes(plane, patient, wall)
    _paint_back(plane, patient, level)


def _paint_glands(plane: Plane, patient: Patient, wall: Shell) -> None:
    """Gland in the breasts, between the fat before and behind it."""
    under = wall.muscle + 0.5 * wall.fat
    half = len(under) // 2
    for side, name in ((slice(0, half), "gland_left"), (slice(half, None), "gland_right")):
        shown = wall.gland[side] > 0.5
        if shown.sum() < 4:
            continue
        base, way = wall.cage[side][shown], wall.out[side][shown]
        low = base + way * under[side][shown][:, None]
        high = low + way * wall.gland[side][shown][:, None]
        curve = patient.bumps(name, np.concatenate([low, high[::-1]]), plane.level)
        plane.fill(curve, 20.0 - 70 * (1 - patient.traits.gland))


def _paint_planes(plane: Plane, patient: Patient, wall: Shell) -> None:
    """Lenses of fat between the layers of muscle, and between the ribs and the layers."""
    rng = patient.rng("planes")
    half = len(wall.cage) // 2
    for part in (slice(0, half), slice(half, None)):
        place, muscle = wall.place[part], wall.muscle[part]
        for low, high, depth in ((0.10, 0.40, 0.0), (0.42, 0.86, 0.15), (0.84, 0.97, 0.3)):
            begin, end = low + rng.normal(0, 0.03), high + rng.normal(0, 0.03)
            width = (0.8 + 0.07 * patient.traits.fat) * np.exp(0.35 * rng.standard_normal())
            chosen = (place > begin) & (place < end)
            if chosen.sum() < 5 or (muscle[chosen] > 13.5).mean() <= 0.5:
                continue
            offset = 11.5 + depth * np.maximum(muscle[chosen] - 12, 0)
            out = wall.out[part][chosen]
            line = wall.cage[part][chosen] + out * offset[:, None]
            move = out * width * np.sin(np.linspace(0, np.pi, len(out)))[:, None]
            plane.fill(np.concatenate([line - move * 0.4, (line + move)[::-1]]), FAT + 12)


def _paint_back(plane: Plane, patient: Patient, level: float) -> None:
    """Fat around the long muscles beside the spinous processes."""
    rng = patient.rng("back")
    _, y = 0.0, np.interp(level, (-110, 0, 120, 300), (70, 108, 106, 92))
    for side in (-1, 1):
        centre = (side * (24 + rng.normal(0, 2)), y + rng.normal(0, 2))
        radii = 22 + rng.normal(0, 2), 12 + rng.normal(0, 1)
        plane.fill(ellipse(centre, np.add(radii, 1.6).tolist(), side * 0.12), FAT + 35)
        plane.fill(ellipse(centre, radii, side * 0.12), patient.traits.tissue - 4)


def paint_shoulders(plane: Plane, patient: Patient, level: float) -> None:
    """Neck and shoulders above the chest: skin, fat and muscle."""
    traits = patient.traits
    wide = np.interp(level, (-235, -165, -140, -120, -95, -60), (58, 62, 100, 178, 180, 150))
    front = np.interp(level, (-235, -190, -140, -110, -60), (-58, -44, -44, -58, -60))
    back = np.interp(level, (-235, -190, -150, -110, -60), (74, 74, 82, 92, 100))
    slope = np.interp(level, (-165, -120, -90), (0.2, 1.0, 1.0))
    half = np.array(
        [
            (0, front), (0.30, front * 1.02), (0.62, front * 0.75), (0.9, front * 0.35 + 6),
            (1.0, 14 + 8 * slope), (0.93, 40), (0.72, back * 0.72), (0.45, back * 0.92),
            (0.2, back), (0, back * 0.98),
        ],
        dtype=np.float64,
    )  # fmt: skip
    half[:, 0] *= wide
    points = np.concatenate([half, half[-2:0:-1] * (-1, 1)])
    curve = patient.bumps("body", closed_curve(points), level)
    plane.fill(curve, 5.0)
    plane.fill(shrunk(curve, 2.0), FAT)
    muscle = patient.bumps("muscle", shrunk(curve, 3 + 0.55 * traits.fat), level)
    plane.fill(muscle, traits.tissue)
