"""Soft tissue above the chest: thyroid, neck vessels, muscles and the jaw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.curves import ellipse
from gansfp.data.sources.phantom.skeleton import CORTEX, spine_centre

if TYPE_CHECKING:
    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane


def paint_neck(plane: Plane, patient: Patient, level: float) -> None:
    """What lies around windpipe and spine between jaw and collar bones."""
    if level > -88:
        return
    traits = patient.traits
    rng = patient.rng("neck")
    shift = rng.normal(0, 2, (8, 2))
    spine = spine_centre(level)[1]
    space = ellipse((0, -4), (40, 26))
    plane.fill(space, -70.0)
    for side in (-1, 1):
        strap = ellipse((side * (30 + shift[0, 0]), -22 + shift[0, 1]), (15, 8), -side * 0.7)
        plane.fill(strap, traits.tissue)
        vein = ellipse((side * 36 + shift[1, 0] * 1.5, 2 + shift[1, 1]), (7.5, 6))
        plane.fill(vein, 42 + 0.7 * traits.contrast)
        deep = ellipse((side * 22, spine + 2), (11, 15), side * 0.3)
        plane.fill(deep, traits.tissue - 4)
    if level > -175:
        lobe = 12 * np.sqrt(max(0.0, 1 - ((level + 132) / 36) ** 2))
        for side in (-1, 1):
            if lobe > 1:
                curve = ellipse((side * 15, 0 + shift[2, 1]), (lobe * 0.75, lobe), side * 0.25)
                plane.fill(patient.bumps("thyroid", curve, level), 105 + 0.4 * traits.contrast)
    if level < -200:
        _paint_jaw(plane, level, traits.bone)


def _paint_jaw(plane: Plane, level: float, bone: float) -> None:
    """The horseshoe of the lower jaw."""
    t = np.linspace(-1.15, 1.15, 25)
    size = np.clip((-196 - level) / 10, 0.2, 1)
    arch = np.stack([44 * np.sin(t), 8 - 62 * np.cos(t)], axis=1)
    inner = np.stack([44 * np.sin(t), 8 - 62 * np.cos(t)], axis=1) * (1 - 0.2 * size) + (0, -1)
    plane.fill(np.concatenate([arch, inner[::-1]]), CORTEX)
    core = np.concatenate([arch * 0.965, (inner * 1.03)[::-1]])
    plane.fill(core, bone + 60)
