"""Skin, fat, muscle and breasts: what is around the rib cage; the table; clothes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.curves import Profile, closed_curve, ellipse, normals
from gansfp.data.sources.phantom.thorax import cage_outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane

    Floats = NDArray[np.float64]

FAT = -102.0
# Muscle in mm outside of the rib cage at angles from the front (0) to the back (1), by level.
_ANGLES = np.array([0.0, 0.10, 0.22, 0.34, 0.46, 0.58, 0.70, 0.80, 0.90, 0.96, 1.0])
_MUSCLE = Profile(
    [
        (-110, 8, 22, 36, 40, 40, 40, 38, 34, 32, 34, 34),
        (-70, 11, 17, 26, 30, 30, 30, 30, 30, 34, 36, 36),
        (-20, 11, 14, 22, 27, 25, 27, 32, 30, 31, 35, 34),
        (30, 11, 13, 17, 19, 18, 24, 30, 25, 28, 36, 34),
        (80, 11, 12, 13, 14, 16, 21, 24, 21, 28, 38, 34),
        (140, 9, 11, 12, 13, 15, 18, 17, 18, 32, 42, 34),
        (240, 8, 12, 12, 14, 16, 16, 16, 20, 36, 46, 34),
        (330, 8, 12, 12, 16, 18, 18, 18, 24, 38, 46, 34),
    ]
)
# Fat over the fat at the flank, at the same angles.
_FAT = Profile(
    [
        (-110, 0.5, 0.6, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.6, 0.5),
        (-20, 0.4, 0.7, 0.9, 0.8, 1.0, 1.2, 1.1, 0.8, 0.55, 0.4, 0.30),
        (60, 0.45, 0.75, 0.9, 0.8, 1.0, 1.1, 1.0, 0.8, 0.55, 0.4, 0.30),
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


def muscle_outline(patient: Patient, level: float) -> Floats:
    """Outside of the muscles around the cage, from the front over the left."""
    cage = cage_outline(level)
    place = _place(cage)
    thick = np.interp(place, _ANGLES, _MUSCLE(level))
    over = np.maximum(thick - 11, 0) * patient.traits.muscle
    curve = cage + normals(cage, 6) * (np.minimum(thick, 11) + over)[:, None]
    return patient.bumps("muscle", curve, level)


def body_outline(patient: Patient, level: float) -> Floats:
    """The skin of the trunk without breasts and shoulders."""
    cage = cage_outline(level)
    place = _place(cage)
    thick = np.interp(place, _ANGLES, _MUSCLE(level))
    over = np.maximum(thick - 11, 0) * patient.traits.muscle
    fat = patient.traits.fat * np.interp(place, _ANGLES, _FAT(level))
    total = np.minimum(thick, 11) + over + fat + 3
    curve = cage + normals(cage, 8) * total[:, None]
    curve = patient.bumps("body", curve, level)
    back = curve[:, 1].max()
    flat = back - 7  # the body's weight flattens the back on the table
    curve[:, 1] = np.where(curve[:, 1] > flat, flat + 0.35 * (curve[:, 1] - flat), curve[:, 1])
    return curve


def _breasts(patient: Patient, level: float) -> list[tuple[Floats, Floats]]:
    """Outline and gland of both breasts at a level."""
    traits = patient.traits
    rise = np.exp(-(((level - 38) / 52) ** 2)) - 0.12
    if traits.breast <= 0 or rise <= 0:
        return []
    rng = patient.rng("breasts")
    found = []
    for side in (-1, 1):
        fall = np.clip(0.55 + 0.25 * rng.standard_normal(), 0.1, 1.1)  # to the side
        height = traits.breast * rise * np.exp(0.08 * rng.standard_normal())
        centre = np.array([side * (74 + 26 * fall), -88 + 28 * fall])
        radii = 50 + 0.25 * height, 24 + height
        roll = side * (0.25 + 0.55 * fall)
        name = "left" if side > 0 else "right"
        skin = ellipse(centre, radii, roll)
        skin = patient.bumps(f"breast_{name}", skin, level)
        gland = ellipse(
            centre - np.array([0, 0.45 * height]),
            (radii[0] * 0.62 * traits.gland**0.5, (8 + 0.62 * height) * traits.gland**0.5),
            roll,
        )
        found.append((skin, patient.bumps(f"gland_{name}", gland, level)))
    return found


def paint_wall(plane: Plane, patient: Patient, level: float) -> None:
    """Skin, fat, breasts, muscle and the fat between muscles."""
    body = body_outline(patient, level)
    breasts = _breasts(patient, level)
    skins = [body, *(skin for skin, _ in breasts)]
    for skin in skins:
        plane.fill(skin, 5.0)
    for skin in skins:
        plane.fill(_inwards(skin, 1.8), FAT)
    for _, gland in breasts:
        plane.fill(gland, -20.0)
    muscle = muscle_outline(patient, level)
    plane.fill(muscle, patient.traits.tissue)
    _paint_planes(plane, patient, level)


def _inwards(curve: Floats, margin: float) -> Floats:
    """Move a closed curve inwards, whatever its sense of rotation."""
    turn = np.sum(curve[:, 0] * np.roll(curve[:, 1], -1) - curve[:, 1] * np.roll(curve[:, 0], -1))
    return curve + normals(curve, 2) * (-margin if turn > 0 else margin)


def _paint_planes(plane: Plane, patient: Patient, level: float) -> None:
    """Fat between the layers of muscle, and between the ribs and the layers."""
    rng = patient.rng("planes")
    cage = cage_outline(level)
    place, out = _place(cage), normals(cage, 4)
    thick = np.interp(place, _ANGLES, _MUSCLE(level))
    half = len(cage) // 2
    for side in (0, 1):
        part = slice(0, half) if side == 0 else slice(half, len(cage))
        for low, high, depth in ((0.10, 0.40, 0.0), (0.42, 0.86, 0.15), (0.84, 0.97, 0.3)):
            begin, end = low + rng.normal(0, 0.03), high + rng.normal(0, 0.03)
            width = (1.2 + 0.10 * patient.traits.fat) * np.exp(0.35 * rng.standard_normal())
            chosen = np.flatnonzero((place[part] > begin) & (place[part] < end))
            if len(chosen) < 5:
                continue
            offset = 11.5 + depth * np.maximum(thick[part][chosen] - 12, 0)
            line = cage[part][chosen] + out[part][chosen] * offset[:, None]
            swell = width * np.sin(np.linspace(0, np.pi, len(chosen)))[:, None]
            move = out[part][chosen] * swell
            room = (thick[part][chosen] > 13.5).mean()
            if room > 0.5:
                plane.fill(np.concatenate([line - move * 0.4, (line + move)[::-1]]), FAT + 12)
    _paint_back(plane, patient, level)


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
    wide = np.interp(level, (-235, -165, -140, -120, -95, -60), (58, 62, 96, 200, 205, 150))
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
    plane.fill(_inwards(curve, 2.0), FAT)
    muscle = patient.bumps("muscle", _inwards(curve, 3 + 0.55 * traits.fat), level)
    plane.fill(muscle, traits.tissue)
