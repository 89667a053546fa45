"""Diaphragm and the organs below it, in mm of the standard body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.curves import ellipse
from gansfp.data.sources.phantom.thorax import cage_outline, lung_outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane

    Floats = NDArray[np.floating]

FAT = -100.0
_DOMES = {-1: (98.0, (-64, -30)), 1: (114.0, (62, -28))}  # top of the dome, its middle


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
    """Cut of one half of the diaphragm: the lung's shape, grown from the dome's top.

    Args:
        patient: Whose diaphragm.
        level: Standard level in mm.
        side: 1 for the left half, -1 for the right.
        margin: How far inside of it, mm.

    Returns:
        Closed curve, shape (136, 2); None above the dome.
    """
    top, centre = _DOMES[side]
    depth = (level - top - margin) / 95
    if depth <= 0:
        return None
    share = min(np.sqrt(depth * (2 - min(depth, 1))), 1.05)
    middle = np.asarray(centre, dtype=np.float64)
    lung = lung_outline(patient, min(level, 205.0), side)
    name = "liver" if side < 0 else "stomach"
    return patient.bumps(name, middle + (lung - middle) * share * (1 - margin / 70), level)


def _paint_domes(plane: Plane, patient: Patient, level: float) -> None:
    """Muscle of the diaphragm and fat inside of it."""
    if level > 150:  # the halves have met
        plane.fill(cage_outline(min(level, 300.0)) * (0.55, 0.93), FAT)
    for side in (1, -1):
        for margin, value in ((0.0, patient.traits.tissue), (2.0, FAT)):
            outline = _dome(patient, level, side, margin)
            if outline is not None:
                plane.fill(outline, value)


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
    liver = _dome(patient, level, -1, 3.0)
    rng = patient.rng("liver")
    lower = 232 + rng.normal(0, 14)
    tissue = 56 + rng.normal(0, 9) + 0.28 * dye
    if liver is not None and level < lower + 40:
        shrink = np.clip((lower + 40 - level) / 70, 0.1, 1)
        anchor = np.array([-95.0, 5.0])
        plane.fill(anchor + (liver - anchor) * shrink, tissue)
        if 125 < level < lower - 30:  # left lobe
            reach = float(np.interp(level, (125, 155, 210), (24, 64, 36)))
            lobe = ellipse((-14, -48), (reach, 20 + 0.12 * reach), 0.12)
            plane.fill(patient.bumps("liver", lobe, level), tissue)
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
