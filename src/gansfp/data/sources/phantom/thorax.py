"""Thoracic cavity, lungs, mediastinum and heart, in mm of the standard body.

x runs to the patient's left, y to the back, z downwards from the carina.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.curves import Profile, closed_curve, ellipse, shrunk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane

    Floats = NDArray[np.floating]

# Half width, half depth and middle (y) of the rib cage's inside at levels.
CAGE = Profile(
    [
        (-150, 40, 40, 24), (-125, 62, 46, 20), (-105, 84, 54, 15), (-85, 100, 63, 11),
        (-60, 112, 74, 7), (-30, 121, 85, 4), (0, 127, 92, 2), (40, 132, 97, 0), (80, 135, 100, 0),
        (120, 137, 102, 0), (160, 137, 101, 0), (200, 134, 98, 0), (260, 130, 90, 2),
        (330, 126, 84, 4),
    ]
)  # fmt: skip

# One half of the cage, from the midline in front to the midline behind, over half width and depth.
_CAGE_HALF = (
    (0.0, -0.88), (0.24, -0.95), (0.50, -0.91), (0.76, -0.71), (0.93, -0.36), (1.0, 0.06),
    (0.98, 0.40), (0.86, 0.70), (0.66, 0.92), (0.44, 1.02), (0.22, 1.06), (0.0, 1.07),
)  # fmt: skip

# One lung at levels: the same 17 points, from the front edge outwards, back and inwards.
_LUNG_LEVELS = (-118.0, -95.0, -60.0, -15.0, 40.0, 90.0, 210.0)
_LUNG = np.array(
    [
        [(0.42, 0.20), (0.45, 0.16), (0.50, 0.14), (0.55, 0.16), (0.59, 0.21), (0.62, 0.28),
         (0.62, 0.36), (0.60, 0.43), (0.56, 0.48), (0.51, 0.51), (0.46, 0.50), (0.42, 0.47),
         (0.39, 0.43), (0.38, 0.38), (0.38, 0.33), (0.39, 0.28), (0.40, 0.24)],
        [(0.32, -0.14), (0.40, -0.30), (0.52, -0.36), (0.68, -0.28), (0.82, -0.10), (0.88, 0.14),
         (0.86, 0.40), (0.78, 0.62), (0.66, 0.78), (0.50, 0.84), (0.36, 0.78), (0.28, 0.66),
         (0.24, 0.50), (0.23, 0.36), (0.24, 0.22), (0.26, 0.08), (0.28, -0.04)],
        [(0.20, -0.62), (0.34, -0.78), (0.52, -0.78), (0.74, -0.60), (0.91, -0.30), (0.98, 0.06),
         (0.96, 0.40), (0.85, 0.68), (0.66, 0.89), (0.46, 0.96), (0.30, 0.88), (0.22, 0.72),
         (0.20, 0.52), (0.19, 0.32), (0.20, 0.08), (0.19, -0.18), (0.18, -0.42)],
        [(0.07, -0.78), (0.22, -0.90), (0.50, -0.90), (0.76, -0.70), (0.93, -0.36), (1.0, 0.06),
         (0.97, 0.41), (0.86, 0.69), (0.66, 0.90), (0.45, 0.97), (0.28, 0.90), (0.20, 0.74),
         (0.17, 0.53), (0.12, 0.34), (0.18, 0.08), (0.15, -0.20), (0.08, -0.54)],
        [(0.04, -0.80), (0.22, -0.92), (0.50, -0.90), (0.76, -0.70), (0.93, -0.36), (1.0, 0.06),
         (0.98, 0.40), (0.86, 0.70), (0.66, 0.91), (0.45, 0.99), (0.27, 0.92), (0.19, 0.75),
         (0.17, 0.54), (0.07, 0.36), (0.12, 0.10), (0.12, -0.22), (0.04, -0.58)],
        [(0.10, -0.78), (0.26, -0.90), (0.52, -0.88), (0.76, -0.69), (0.93, -0.35), (1.0, 0.06),
         (0.98, 0.40), (0.86, 0.70), (0.66, 0.92), (0.45, 1.00), (0.27, 0.93), (0.20, 0.77),
         (0.17, 0.56), (0.07, 0.38), (0.10, 0.12), (0.14, -0.20), (0.10, -0.56)],
        [(0.24, -0.66), (0.36, -0.80), (0.54, -0.80), (0.73, -0.62), (0.91, -0.30), (1.0, 0.06),
         (0.98, 0.40), (0.86, 0.70), (0.66, 0.92), (0.45, 1.01), (0.27, 0.94), (0.20, 0.80),
         (0.19, 0.60), (0.17, 0.42), (0.20, 0.14), (0.22, -0.16), (0.23, -0.44)],
    ]
)  # fmt: skip
_LUNG_TABLE = Profile(
    [
        (level, *shape.ravel())
        for level, shape in zip(_LUNG_LEVELS, _LUNG.reshape(7, -1), strict=True)
    ]
)
LUNG_TOP, LUNG_BASE = -116.0, 215.0

# Chambers: middle and half axes (x, y, z), roll in the plane; mm.
CHAMBERS = {
    "right_atrium": ((-25, -24, 62), (23, 29, 40), 0.25),
    "left_atrium": ((3, 9, 44), (35, 19, 27), 0.05),
    "right_ventricle": ((10, -50, 72), (41, 24, 46), 0.30),
    "left_ventricle": ((37, -26, 78), (40, 28, 46), -0.62),
}


@lru_cache(maxsize=16)
def cage_outline(level: float) -> Floats:
    """Inside of the rib cage without the spine, from the front over the left; shape (176, 2)."""
    width, depth, middle = CAGE(level)
    half = np.asarray(_CAGE_HALF)
    points = np.concatenate([half, half[-2:0:-1] * (-1, 1)])
    curve = closed_curve(points * (width, depth) + (0.0, middle))
    curve.setflags(write=False)  # shared by the callers
    return curve


def lung_corners(level: float) -> Floats:
    """Control points of the standard left lung, shape (17, 2), mm."""
    width, depth, middle = CAGE(level)
    corners: Floats = _LUNG_TABLE(level).reshape(-1, 2) * (width, depth) + (0.0, middle)
    return corners


def lung_outline(patient: Patient, level: float, side: int) -> Floats:
    """One lung where no heart or diaphragm presses on it.

    Args:
        patient: Whose lung.
        level: Standard level in mm.
        side: 1 for the left lung, -1 for the right.

    Returns:
        Closed curve, shape (136, 2).
    """
    curve = closed_curve(lung_corners(level) * (side, 1))
    return patient.bumps("lung_left" if side > 0 else "lung_right", curve, level)


def chamber(patient: Patient, name: str, level: float, grow: float = 0.0) -> Floats | None:
    """Cut of a heart chamber; None where the plane misses it.

    Args:
        patient: Whose heart.
        name: A key of `CHAMBERS`.
        level: Standard level in mm.
        grow: Wall around it in mm.
    """
    middle, radii, roll = CHAMBERS[name]
    size = patient.traits.heart
    height = (level - _heart_level(middle[2], size)) / (radii[2] * size + grow)
    if abs(height) >= 1:
        return None
    width = np.sqrt(1 - height**2)
    centre = in_heart(patient, middle[:2])
    reach = [(radius * size + grow) * width for radius in radii[:2]]
    curve = ellipse(centre, reach, roll + patient.traits.heart_turn)
    return patient.bumps(name, curve, level)


def _heart_level(level: float, size: float) -> float:
    """Big hearts grow downwards: the base stays."""
    return 10 + (level - 10) * size


def in_heart(patient: Patient, point: Sequence[float]) -> tuple[float, float]:
    """Where a point of the standard heart lies in this patient's: size, turn and shift."""
    traits = patient.traits
    x, y = point[0] - 5, point[1] + 5
    cos, sin = np.cos(traits.heart_turn), np.sin(traits.heart_turn)
    turned = (x * cos - y * sin) * traits.heart, (x * sin + y * cos) * traits.heart
    shift = traits.heart_shift
    return float(turned[0] + 5 + shift[0]), float(turned[1] - 5 + shift[1])


def paint_lungs(plane: Plane, patient: Patient, level: float) -> None:
    """Fill the cavity with mediastinal fat and the lungs with air and tissue."""
    if level < -140:
        return
    plane.fill(cage_outline(level), -70.0)
    if LUNG_TOP < level < LUNG_BASE:
        for side in (-1, 1):
            plane.fill(lung_outline(patient, level, side), patient.traits.lung)


def paint_heart(plane: Plane, patient: Patient, level: float) -> None:
    """Fat around the heart, its walls and the blood in its chambers."""
    traits = patient.traits
    blood = 42 + traits.contrast
    right = 42 + traits.right_contrast
    wall = traits.tissue + 0.25 * traits.contrast
    cuts = {name: chamber(patient, name, level, 3.0) for name in CHAMBERS}
    shown = [outline for outline in cuts.values() if outline is not None]
    if not shown:
        return
    hull = patient.bumps("heart", convex_hull(np.concatenate(shown)[::2]), level)
    middle = hull.mean(0)
    arm = np.maximum(np.sqrt(((hull - middle) ** 2).sum(1, keepdims=True)), 1.0)
    plane.fill(hull + (hull - middle) / arm * 3.5, -80.0)
    plane.fill(hull, wall - 12)
    thickness = {"left_ventricle": 9.0, "right_ventricle": 2.5, "left_atrium": 1.5}
    for name in ("right_atrium", "left_atrium", "right_ventricle", "left_ventricle"):
        outline = cuts[name]
        if outline is None:
            continue
        radius = np.sqrt(((outline - outline.mean(0)) ** 2).sum(1)).min()
        plane.fill(shrunk(outline, min(2.0, 0.3 * radius)), wall)
        inner = shrunk(outline, min(2.0 + thickness.get(name, 1.5), 0.7 * radius))
        plane.fill(inner, right if name.startswith("right") else blood)


def convex_hull(points: Floats) -> Floats:
    """Convex hull of points in the plane (Andrew's chain), as a smooth closed curve."""
    from scipy.spatial import ConvexHull

    corners = points[ConvexHull(points).vertices]
    arms = np.roll(corners, -1, axis=0) - corners
    length = np.sqrt((arms**2).sum(1))
    place = np.concatenate([[0.0], np.cumsum(length)])
    even = np.linspace(0, place[-1], 49)[:-1]
    closed = np.concatenate([corners, corners[:1]])
    return np.stack([np.interp(even, place, closed[:, k]) for k in range(2)], axis=1)
