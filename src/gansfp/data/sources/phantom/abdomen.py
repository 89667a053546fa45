"""Diaphragm and the organs below it, in mm of the standard body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.curves import closed_curve, ellipse
from gansfp.data.sources.phantom.thorax import cage_outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane

    Floats = NDArray[np.float64]

FAT = -100.0
_DOMES = {-1: (98.0, (-66, -6)), 1: (114.0, (64, -2))}  # top of the dome, its middle


def paint_abdomen(plane: Plane, patient: Patient, level: float) -> None:
    """Everything under the diaphragm that this level shows."""
    if level < 60:
        return
    rng = patient.rng("abdomen")
    breath = rng.normal(0, 14)
    _paint_domes(plane, patient, level + breath)
    if level + breath > 95:
        _paint_organs(plane, patient, level + breath)


def _dome(patient: Patient, level: float, side: int, margin: float) -> Floats | None:
    """Cut of one half of the diaphragm, less a margin in mm; it grows from the dome's top."""
    top, centre = _DOMES[side]
    depth = level - top - margin
    if depth <= 0:
        return None
    share = np.sqrt(np.clip(depth / 92, 0, 1.35))
    curve = cage_outline(min(level, 260.0))
    half = curve[curve[:, 0] * side >= -8]
    middle = np.asarray(centre, dtype=np.float64)
    grown = middle + (half - middle) * min(share, 1.0) - np.sign(half - middle) * margin
    return patient.bumps("liver" if side < 0 else "stomach", _even(grown), level)


def _even(points: Floats) -> Floats:
    """Thin the points of an outline and round it."""
    angle = np.arctan2(*(points - points.mean(0)).T[::-1])
    order = np.argsort(angle, kind="stable")
    return closed_curve(points[order][:: max(1, len(points) // 18)])


def _paint_domes(plane: Plane, patient: Patient, level: float) -> None:
    """Muscle of the diaphragm and fat inside of it."""
    for side in (1, -1):
        outer = _dome(patient, level, side, 0.0)
        inner = _dome(patient, level, side, 3.0)
        if outer is not None:
            plane.fill(outer, patient.traits.tissue)
        if inner is not None:
            plane.fill(inner, FAT)
    if level > 150:  # the halves have met
        inside = cage_outline(min(level, 300.0))
        middle = inside[np.abs(inside[:, 0]) < 70] * (1.0, 0.96)
        plane.fill(_even(middle), FAT)


def _organ(
    patient: Patient,
    name: str,
    level: float,
    middle: tuple[float, float, float],
    radii: tuple[float, float, float],
    roll: float,
) -> Floats | None:
    """Cut of an egg with bumps; None where the plane misses it."""
    rng = patient.rng("organ", name)
    centre = np.add(middle, np.clip(rng.standard_normal(3), -2, 2) * (4, 4, 8))
    size = np.exp(0.10 * np.clip(rng.standard_normal(3), -2, 2)) * radii
    height = (level - centre[2]) / size[2]
    if abs(height) >= 1:
        return None
    reach = size[:2] * (1 - height**4) ** 0.5
    return patient.bumps(name, ellipse(centre[:2], reach, roll + rng.normal(0, 0.12)), level)


def _paint_organs(plane: Plane, patient: Patient, level: float) -> None:
    """Liver, spleen, stomach, kidneys, pancreas and bowel."""
    traits = patient.traits
    dye = traits.contrast
    liver = _dome(patient, level, -1, 4.5)
    rng = patient.rng("liver")
    lower = 232 + rng.normal(0, 14)
    tissue = 56 + rng.normal(0, 9) + 0.28 * dye
    if liver is not None and level < lower + 40:
        shrink = np.clip((lower + 40 - level) / 70, 0.1, 1)
        anchor = np.array([-95.0, 5.0])
        plane.fill(anchor + (liver - anchor) * shrink, tissue)
        if 125 < level < lower - 30:  # left lobe
            reach = np.interp(level, (125, 150, 200), (18, 52, 30))
            plane.fill(
                patient.bumps("liver", ellipse((-6, -52), (reach + 14, 26), 0.15), level), tissue
            )
    _paint_stomach(plane, patient, level)
    spleen = _organ(patient, "spleen", level, (94, 34, 178), (22, 44, 48), 0.35)
    if spleen is not None:
        plane.fill(spleen, 50 + 0.32 * dye)
    _paint_kidneys(plane, patient, level)
    if level > 205:
        _paint_bowel(plane, patient, level)
    if level > 185:
        for side in (-1, 1):  # psoas and crura
            size = np.interp(level, (185, 240, 320), (5, 13, 22))
            plane.fill(ellipse((side * (22 + 0.4 * size), 48), (size, size * 1.15)), traits.tissue)


def _paint_stomach(plane: Plane, patient: Patient, level: float) -> None:
    """A bag with food below and gas above."""
    bag = _organ(patient, "stomach", level, (50, -26, 172), (36, 42, 52), 0.4)
    if bag is None:
        return
    rng = patient.rng("meal")
    full = rng.uniform(0.15, 0.85)
    plane.fill(bag, patient.traits.tissue)
    middle = bag.mean(0)
    inside = middle + (bag - middle) * 0.88
    plane.fill(inside, 15 + 45 * rng.uniform())
    surface = inside[:, 1].min() + full * np.ptp(inside[:, 1])
    gas = inside.copy()
    gas[:, 1] = np.minimum(gas[:, 1], surface)
    if full > 0.22:
        plane.fill(gas, -970.0)


def _paint_kidneys(plane: Plane, patient: Patient, level: float) -> None:
    """Bean-shaped cuts with fat in the hilum."""
    dye = patient.traits.contrast
    for side, name, depth in ((-1, "kidney_right", 252.0), (1, "kidney_left", 240.0)):
        middle = (side * 60.0, 44.0, depth)
        outer = _organ(patient, name, level, middle, (25, 30, 56), -side * 0.5)
        if outer is None:
            continue
        plane.fill(outer, 36 + 0.55 * dye)
        if abs(level - depth) < 30:
            centre = outer.mean(0)
            hilum = ellipse(centre - (side * 13, 3), (12, 8), -side * 0.3)
            plane.fill(hilum, FAT + 25)
            plane.fill(ellipse(centre - (side * 10, 2), (5, 3.5)), 12 + 0.9 * dye)


def _paint_bowel(plane: Plane, patient: Patient, level: float) -> None:
    """Loops in front: round cuts with wall, contents and some gas; they follow the level."""
    for loop in range(22):
        rng = patient.rng("bowel", loop)
        x, y = rng.uniform(-92, 96), rng.uniform(-66, 16)
        height, reach = rng.uniform(200, 340), rng.uniform(12, 34)
        size = rng.uniform(9, 19)
        roll, long = rng.uniform(0, np.pi), rng.uniform(1, 1.8)
        inside, gas = rng.uniform(5, 60), rng.uniform()
        away = (level - height) / reach
        if abs(away) >= 1 or (x < -30 and level < 250):
            continue
        size *= np.sqrt(1 - away**4)
        drift = np.array([x + 10 * np.sin(level / 23 + loop), y + 8 * np.cos(level / 19 + loop)])
        curve = ellipse(drift, (size * long, size), roll)
        plane.fill(curve, 42.0)
        inner = drift + (curve - drift) * 0.82
        plane.fill(inner, inside)
        if gas < 0.40:
            bubble = inner.copy()
            bubble[:, 1] = np.minimum(bubble[:, 1], drift[1] + (gas - 0.25) * 2 * size)
            plane.fill(bubble, -960.0)
