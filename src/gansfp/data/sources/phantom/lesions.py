"""Lung disease: what a patient has is fixed; how much of it shows grows with the severity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.curves import smooth_field
from gansfp.data.sources.phantom.thorax import CAGE, LUNG_BASE, LUNG_TOP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane

    Floats = NDArray[np.floating]
    Pixels = NDArray[np.float32]

_COUNT = 70
# For each pattern of disease the shares of solid, ground-glass and airy spots, and how strong
# scarring and effusion are.
_PATTERNS = (
    (0.9, 0.1, 0.0, 0.0, 0.1),  # nodules
    (0.2, 0.8, 0.0, 0.1, 0.5),  # infection
    (0.1, 0.0, 0.9, 0.1, 0.0),  # emphysema
    (0.1, 0.3, 0.2, 1.0, 0.1),  # fibrosis
    (0.4, 0.4, 0.2, 0.0, 1.0),  # effusion
)


def paint_lesions(plane: Plane, patient: Patient, lungs: NDArray[np.bool_], level: float) -> None:
    """Paint what is ill.

    Args:
        plane: Where the pixels lie.
        patient: Whose disease and severity.
        lungs: Where lungs are, vessels included, shape (side, side).
        level: Standard level in mm.
    """
    severity = patient.traits.severity
    if severity <= 0 or not LUNG_TOP < level < LUNG_BASE or not lungs.any():
        return
    pixels = plane.pixels
    rng = patient.rng("lesions")
    pattern = _PATTERNS[int(rng.integers(len(_PATTERNS)))]
    kinds = rng.choice(3, size=_COUNT, p=np.array(pattern[:3]) / sum(pattern[:3]))
    places = _places(rng)
    onset, sizes = rng.uniform(0.0, 0.95, _COUNT), np.exp(0.45 * rng.standard_normal(_COUNT))
    onset[0] = 0.0
    for k in range(_COUNT):
        if severity > onset[k]:
            grown = min(1.0, 0.35 + 1.6 * (severity - onset[k]))
            radius = float((4.5, 15.0, 9.0)[kinds[k]] * sizes[k] * grown)
            _paint_spot(plane, patient, pixels, lungs, places[k], radius, int(kinds[k]), k)
    if pattern[3] * severity > 0.05:
        _paint_scars(patient, pixels, lungs, pattern[3] * severity, plane)
    if pattern[4] * severity > 0.2:
        _paint_effusion(patient, pixels, lungs, pattern[4] * severity, level)
    plane.replace(pixels)


def _places(rng: np.random.Generator) -> Floats:
    """Spots somewhere in the lungs, x, y, z in mm, shape (_COUNT, 3)."""
    side = np.where(rng.uniform(size=_COUNT) < 0.5, -1, 1)
    z = rng.uniform(LUNG_TOP + 30, LUNG_BASE - 40, _COUNT)
    angle, reach = rng.uniform(0, 2 * np.pi, _COUNT), np.sqrt(rng.uniform(size=_COUNT))
    cage = CAGE.many(z)
    x = side * cage[:, 0] * (0.58 + 0.36 * reach * np.cos(angle))
    y = cage[:, 2] + cage[:, 1] * (0.05 + 0.75 * reach * np.sin(angle))
    return np.stack([x, y, z], axis=1)


def _paint_spot(
    plane: Plane,
    patient: Patient,
    pixels: Pixels,
    lungs: NDArray[np.bool_],
    place: Floats,
    radius: float,
    kind: int,
    number: int,
) -> None:
    """A ball with a ragged edge: solid, ground glass or a bulla."""
    height = plane.level - place[2]
    if abs(height) >= radius:
        return
    reach = 1.8 * radius * plane.scale
    column, row = plane.to_raster(place[None, :2])[0]
    top, bottom = max(0, int(row - reach)), min(plane.side, int(row + reach) + 2)
    left, right = max(0, int(column - reach)), min(plane.side, int(column + reach) + 2)
    if top >= bottom or left >= right:
        return
    y = (np.arange(top, bottom)[:, None] - row) / plane.scale
    x = (np.arange(left, right)[None] - column) / plane.scale
    rng = patient.rng("spot", number)
    ragged = (0.22, 0.5, 0.30)[kind] * rng.uniform(0.4, 1.3)
    cells = int(rng.integers(6, 11))
    rough = smooth_field(rng.standard_normal((cells, cells)), 64)
    step_y, step_x = (
        np.clip(c / (1.8 * radius) * 31.5 + 31.5, 0, 63).astype(np.int64) for c in (y, x)
    )
    edge = 1 + ragged * rough[step_y, step_x]
    distance = np.sqrt(x * x + y * y + height * height) / (radius * np.maximum(edge, 0.35))
    soft = (0.10, 0.45, 0.10)[kind]
    share = np.clip((1 - distance) / soft + 0.5, 0, 1)
    target = (30.0, -520.0, -975.0)[kind] + rng.normal(0, 25)
    box = np.s_[top:bottom, left:right]
    blend = (share * (1.0, 0.85, 1.0)[kind] * lungs[box]).astype(np.float32)
    old = pixels[box]
    aimed = np.maximum(old, target) if kind < 2 else np.minimum(old, target)
    pixels[box] = old + blend * (aimed - old)


def _paint_scars(
    patient: Patient, pixels: Pixels, lungs: NDArray[np.bool_], amount: float, plane: Plane
) -> None:
    """A net of dense lines under the pleura, thicker the more severe, with small cysts."""
    from scipy.ndimage import distance_transform_edt

    step = 4
    inner = distance_transform_edt(lungs[::step, ::step]).astype(np.float32) * step / plane.scale
    depth = np.kron(inner, np.ones((step, step), np.float32))[: plane.side, : plane.side]
    near = np.exp(-((depth / np.float32(4 + 14 * amount)) ** 2))
    low = np.linspace(-0.6, 1.4, plane.side, dtype=np.float32)[:, None].clip(0, 1)
    near *= low * np.float32(np.clip((plane.level + 80) / 120, 0.15, 1))  # base and back first
    cells = max(8, int(plane.side / plane.scale / 5.0))
    rng = patient.rng("scars", int(plane.level // 4))
    field = smooth_field(rng.standard_normal((cells, cells)), plane.side)
    net = np.exp(-((field / np.float32(0.35)) ** 2)) * 430 + np.float32(60)
    add = net * near * np.float32(0.4 + 0.6 * amount) * lungs
    np.minimum(pixels + add * (pixels < 0), np.maximum(pixels, 60), out=pixels)


def _paint_effusion(
    patient: Patient, pixels: Pixels, lungs: NDArray[np.bool_], amount: float, level: float
) -> None:
    """Water at the back of one or both sides, deeper further down."""
    rng = patient.rng("effusion")
    sides = (rng.uniform() < 0.75, rng.uniform() < 0.45)
    depth = float(np.clip(amount * (0.18 + 0.0032 * (level + 30)), 0, 0.6))
    side = len(pixels)
    rows = np.arange(side)[:, None]
    for k, wet in enumerate(sides):
        half = lungs.copy()
        if k == 0:
            half[:, side // 2 :] = False
        else:
            half[:, : side // 2] = False
        used = np.flatnonzero(half.any(axis=1))
        if not wet or len(used) < 4 or depth <= 0.02:
            continue
        columns = np.flatnonzero(half.any(axis=0))
        across = (np.arange(side)[None] - columns.mean()) / max(np.ptp(columns) / 2, 1)
        surface = used[-1] - depth * np.ptp(used) * (0.7 + 0.6 * across**2)
        pixels[half & (rows > surface)] = 8.0
