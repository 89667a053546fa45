"""What is around the patient: the scanner's table, clothes and a blanket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane

    Floats = NDArray[np.floating]


def paint_couch(plane: Plane, patient: Patient, back: float) -> None:
    """One of four kinds of table under the mattress; `back` is the lowest skin's y in mm."""
    rng = patient.rng("couch")
    kind = int(rng.choice(4, p=(0.5, 0.2, 0.2, 0.1)))
    top = back + rng.uniform(4, 16)
    sag, dense = rng.uniform(0.7, 1.4), rng.uniform(-450, -50)
    if kind == 0:  # a thin shell over a short bright bar
        _arc(plane, top, 215, 34 * sag, 1.6, dense - 150)
        gap = rng.uniform(12, 26)
        _arc(plane, top + gap, rng.uniform(95, 150), 12 * sag, 3.6, rng.uniform(150, 700))
    elif kind == 1:  # a hollow shell
        width, deep = rng.uniform(200, 240), rng.uniform(24, 40)
        _arc(plane, top, width, 46 * sag, 2.4, dense + 150)
        _arc(plane, top + deep, width, 46 * sag + deep - 6, 2.4, dense + 150)
    elif kind == 2:  # a trough with straight flanks
        wide, deep = rng.uniform(130, 165), rng.uniform(60, 80)
        x = np.array([-wide - 75, -wide + 20, wide - 20, wide + 75])
        y = np.array([top - 30, top + deep, top + deep, top - 30])
        for low in (0.0, rng.uniform(8, 14)):
            for k in range(3):
                ends = np.stack([x[k : k + 2], y[k : k + 2] + low], axis=1)
                plane.line(ends, 2.0, dense + 350, warped=False)
        _arc(plane, top, 215, 40 * sag, 1.4, dense - 200)
    else:  # a flat mattress
        _arc(plane, top + 5, 230, 4.0, 3.0, dense - 100)
        _arc(plane, top + 30, 200, 16 * sag, 3.0, dense + 300)


def _arc(plane: Plane, top: float, width: float, sag: float, thick: float, value: float) -> None:
    """A shallow parabola whose middle is lowest."""
    x = np.linspace(-width, width, 13)
    y = top + sag * 0.15 - sag * (x / width) ** 2
    plane.line(np.stack([x, y], axis=1), thick, value, warped=False)


def paint_clothes(plane: Plane, patient: Patient, skin: Floats) -> None:
    """Faint folds over the skin, in front and at the sides; `skin` is a closed curve in mm."""
    rng = patient.rng("clothes")
    y = skin[:, 1]
    front = skin[y < np.sort(y)[int(0.7 * len(y))]]  # all but the hindmost 30 %
    front = front[np.argsort(front[:, 0], kind="stable")][::9]
    out = np.array([0.0, -1.0])
    for _ in range(int(rng.integers(0, 5))):
        first = int(rng.integers(0, max(1, len(front) // 2)))
        part = front[first : first + int(rng.integers(4, 12))]
        if len(part) < 3:
            continue
        lift = rng.uniform(2, 9) + np.abs(np.cumsum(rng.normal(0, 2.5, len(part))))
        phase = plane.level / 25
        lift = lift * (1 + 0.2 * np.sin(phase + np.arange(len(part))))
        plane.line(part + out * lift[:, None], 0.9, rng.uniform(-930, -800))
