"""Ribs, spine, breastbone, collar bones and shoulder blades."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.curves import closed_curve, ellipse, normals, shrunk
from gansfp.data.sources.phantom.thorax import CAGE, cage_outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane

    Floats = NDArray[np.floating]

CORTEX = 560.0
_FIRST, _SPACING = -98.0, 24.5  # level of the first rib's head and of one vertebra, mm
_PEAK = 0.80  # where along the wall a rib is lowest and gives way to cartilage


# Of each rib: how far it falls forwards in mm, and how far around it reaches.
_DROP = np.interp(np.arange(12), (0, 2, 7, 11), (36, 84, 124, 80))
_REACH = np.array([1.0] * 8 + [0.86, 0.72, 0.5, 0.35])


def paint_ribs(plane: Plane, patient: Patient, level: float) -> None:
    """Oblique cuts of the ribs: a shell of cortex around marrow, cartilage towards the front."""
    rng = patient.rng("ribs")
    shift, tilt = rng.normal(0, 6), np.exp(0.12 * rng.standard_normal())
    single = rng.normal(0, 2.0, (12, 2))
    size = np.exp(0.12 * rng.standard_normal())
    for side in (0, 1):
        wall, out, t = _half_wall(level, side)
        below = level - (_FIRST + _SPACING * np.arange(12) + shift + single[:, side])
        falls = np.sin(np.clip(t / _PEAK, 0, 1) * np.pi / 2) ** 1.3
        falls = falls - 0.45 * np.clip((t - _PEAK) / (1 - _PEAK), 0, 1)
        away = (below[:, None] - tilt * _DROP[:, None] * falls) / (6.2 * size)
        inside = 1 - away**2
        inside[(t > _REACH[:, None]) | (t < 0.05)] = -1
        for rib in np.flatnonzero(inside.max(1) > 0):
            _paint_rib(plane, patient, (wall, out, t), inside[rib], 3.9 * size)


@lru_cache(maxsize=8)
def _half_wall(level: float, side: int) -> tuple[Floats, Floats, Floats]:
    """Half the cage's wall from the back to the front: points, directions outwards, place."""
    outline = cage_outline(level)
    half = len(outline) // 2
    order = np.arange(half, -1, -1) if side == 0 else np.arange(half, 2 * half + 1) % len(outline)
    wall = outline[order]
    arc = np.concatenate([[0.0], np.cumsum(np.sqrt((np.diff(wall, axis=0) ** 2).sum(1)))])
    return wall, normals(outline, 4)[order], arc / arc[-1]


def _paint_rib(
    plane: Plane,
    patient: Patient,
    half: tuple[Floats, Floats, Floats],
    inside: Floats,
    size: float,
) -> None:
    """Cuts of one rib where `inside` is positive; `size` is half its thickness in mm."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (inside > 0).astype(np.int8), [0]])))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - first < 3:
            continue
        wall, out, t = (part[first:stop] for part in half)
        thick = size * np.sqrt(inside[first:stop])
        curve = _band(wall, out, 6.0 - thick, 6.0 + thick)
        if t.mean() >= _PEAK - 0.02:
            plane.fill(curve, 95.0 + 1.2 * max(0.0, patient.traits.age - 55))
            continue
        plane.fill(curve, CORTEX)
        core = np.maximum(thick - 1.3, 0.1)[1:-1]
        curve = _band(wall[1:-1], out[1:-1], 6.0 - core, 6.0 + core)
        plane.fill(curve, patient.traits.bone - 30)


def _band(wall: Floats, out: Floats, low: Floats, high: Floats) -> Floats:
    """Closed outline between two distances from the wall."""
    inner, outer = wall + out * low[:, None], wall + out * high[:, None]
    return np.concatenate([inner, outer[::-1]])


# Half of a vertebra at the pedicles, x and y from the body's middle; body, arch with processes.
_BODY = ((0, -13), (8, -13.5), (15, -9), (17, -2), (16.5, 6), (12, 12), (5, 12), (0, 11))
_ARCH = (
    (0, 10), (9, 10), (13, 12), (15, 17), (24, 20), (33, 24), (34, 29), (28, 30), (18, 27),
    (10, 31), (4, 34), (2.6, 41), (2.2, 47), (0, 49),
)  # fmt: skip
_LAMINA = (
    (0, 13), (6, 14), (11, 18), (13, 24), (11, 29), (6, 32), (3, 35), (2.4, 41), (2, 45), (0, 46),
)  # fmt: skip


def spine_centre(level: float) -> tuple[float, float]:
    """Middle of the vertebral body, x and y in mm."""
    depth = np.interp(
        level, (-260, -180, -120, -60, 0, 60, 120, 200, 300), (16, 20, 34, 50, 59, 60, 57, 50, 44)
    )
    return 0.0, float(depth)


def paint_spine(plane: Plane, patient: Patient, level: float) -> None:
    """One vertebra: body, canal, arch and processes as far as this level shows them."""
    rng = patient.rng("spine")
    phase = ((level - _FIRST + rng.normal(0, 8)) / _SPACING) % 1.0
    size = (0.72 + 0.28 * np.clip((level + 180) / 180, 0, 1.5)) * np.exp(0.07 * rng.normal())
    plump = np.exp(0.08 * rng.standard_normal(2))
    dense = patient.traits.bone
    centre = np.asarray(spine_centre(level))
    pedicles = 0.10 < phase < 0.62
    arch = _mirrored(_ARCH if pedicles else _LAMINA) * size * (1.0, plump[1]) + centre
    plane.fill(arch, CORTEX - 140)
    core = shrunk(arch, 1.2)
    plane.fill(core, dense + 60)
    middle = centre + np.array([0.0, 19.5 * size])
    canal = ellipse(middle, (9.0 * size, 7.5 * size))
    plane.fill(ellipse(middle, (10.5 * size, 9.0 * size)), CORTEX - 200)
    plane.fill(canal, 10.0)
    plane.fill(ellipse(middle, (5.5 * size, 4.5 * size)), 38.0)
    body = closed_curve(_mirrored(_BODY) * size * plump + centre)
    body = patient.bumps("vertebra", body, level)
    disc = phase > 0.86
    plane.fill(body, 260.0 if disc else CORTEX)
    plane.fill(shrunk(body, 1.3), 90.0 if disc else dense + 15)
    if not disc:
        plane.fill(shrunk(body, 8.0), dense - 10)


def _mirrored(half: tuple[tuple[float, float], ...]) -> Floats:
    """Both halves of an outline given from front to back."""
    points = np.asarray(half, dtype=np.float64)
    return np.concatenate([points, points[-2:0:-1] * (-1, 1)])


def paint_sternum(plane: Plane, patient: Patient, level: float) -> None:
    """Breastbone: broad at the top, then a flat plate."""
    if not -62 < level < 118:
        return
    rng = patient.rng("sternum")
    wide = np.interp(level, (-62, -50, -25, 0, 60, 95, 118), (26, 30, 22, 16, 19, 14, 5))
    wide *= np.exp(0.10 * rng.standard_normal())
    thick = 5.2 * np.exp(0.10 * rng.standard_normal())
    tilt, bend = rng.normal(0, 0.08), rng.normal(1.5, 2.0)
    _, depth, middle = CAGE(level)
    centre = np.array([rng.normal(0, 3), middle - 0.88 * depth - 2 - thick])
    u = np.array([-1, -0.85, -0.5, 0, 0.5, 0.85, 1, 0.8, 0.45, 0, -0.45, -0.8])
    v = np.array([0, -0.8, -0.95, -0.8, -0.95, -0.8, 0, 0.85, 0.9, 0.95, 0.9, 0.85])
    points = np.stack([u * wide, v * thick + bend * u * u + tilt * u * wide], axis=1) + centre
    curve = closed_curve(points)
    plane.fill(curve, CORTEX - 160)
    plane.fill(shrunk(curve, 1.2), patient.traits.bone - 70)


def paint_shoulder(plane: Plane, patient: Patient, level: float) -> None:
    """Shoulder blades, collar bones and the heads of the upper arms, on both sides."""
    rng = patient.rng("shoulder")
    for side in (-1, 1):
        lift = rng.normal(0, 9) + (0.0 if patient.traits.arms_up else -6.0)
        turn, out = rng.normal(0, 0.16), rng.normal(0, 5)
        _paint_arm_head(plane, patient, level + lift, side, out)
        _paint_blade(plane, patient, level + lift, side, turn, out)
        _paint_collar_bone(plane, level + lift * 0.5, side)


def _paint_blade(
    plane: Plane, patient: Patient, level: float, side: int, turn: float, out: float
) -> None:
    """A thin plate behind the ribs, thick at its outer edge, with a spine higher up."""
    if not -135 < level < 72:
        return
    length = np.interp(level, (-135, -100, -40, 30, 72), (30, 50, 46, 26, 4))
    angle = np.interp(level, (-135, -60, 20, 72), (-0.75, -0.95, -1.15, -1.25)) + turn
    if patient.traits.arms_up:
        angle -= 0.12
    width, depth, middle = CAGE(max(level, -85.0))
    start = np.array([0.74 * width + out * 0.4, middle + 0.80 * depth + 19])
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    s = np.linspace(0, 1, 7)
    bow = 5 * np.sin(s * np.pi)
    thick = 1.6 + 2.8 * np.exp(-(((s - 1) / 0.16) ** 2)) + 1.2 * np.exp(-((s / 0.1) ** 2))
    line = start + s[:, None] * length * along + bow[:, None] * across
    curve = np.concatenate([line - thick[:, None] * across, (line + thick[:, None] * across)[::-1]])
    curve = curve * (side, 1)
    plane.fill(curve, CORTEX - 60)
    if level < -40:
        root = start + 0.55 * length * along
        tip = root + np.array([0.62, 0.25]) * np.interp(level, (-135, -90, -40), (42, 30, 8))
        spine = np.stack([root - across, tip - 2 * across, tip + 2 * across, root + across])
        plane.fill(spine * (side, 1), CORTEX - 100)


def _paint_collar_bone(plane: Plane, level: float, side: int) -> None:
    """A bar that rises from the breastbone to the shoulder."""
    if not -128 < level < -52:
        return
    x = np.linspace(20, 150, 27)
    height = np.interp(x, (20, 60, 110, 150), (-62, -84, -104, -114))
    depth = np.interp(x, (20, 45, 80, 115, 150), (-62, -66, -48, -18, -6))
    inside = 1 - ((level - height) / 8.5) ** 2
    shown = inside > 0
    if shown.sum() < 3:
        return
    line = np.stack([x, depth], axis=1)[shown]
    thick = 6.0 * np.sqrt(inside[shown])[:, None]
    curve = np.concatenate([line - (0, 1) * thick, (line + (0, 1) * thick)[::-1]]) * (side, 1)
    plane.fill(curve, CORTEX)
    core = np.maximum(thick - 2.4, 0.1)
    curve = np.concatenate([line - (0, 1) * core, (line + (0, 1) * core)[::-1]]) * (side, 1)
    plane.fill(curve, 220.0)


def _paint_arm_head(plane: Plane, patient: Patient, level: float, side: int, out: float) -> None:
    """Head of the humerus beside the shoulder blade, in the muscle of the shoulder."""
    flesh = np.sqrt(max(0.0, 1 - ((level + 106) / 36) ** 2))
    size = np.sqrt(max(0.0, 1 - ((level + 114) / 26) ** 2))
    centre = np.array([158.0 + out, 14.0])
    fat = 0.5 * patient.traits.fat
    for margin, value in ((fat + 2, -10.0), (fat, -102.0), (0.0, patient.traits.tissue)):
        if flesh > 0.3:
            around = ellipse(centre - (12, 0), (60 * flesh + margin, 42 * flesh + margin))
            plane.fill(around * (side, 1), value)
    if size == 0:
        return
    curve = ellipse(centre, (24 * size, 23 * size)) * (side, 1)
    plane.fill(curve, CORTEX)
    plane.fill(ellipse(centre, (21.5 * size, 20.5 * size)) * (side, 1), patient.traits.bone + 70)
    socket = ellipse(centre + np.array([-31.0, 8.0]), (6, 17 * size), 0.2) * (side, 1)
    plane.fill(socket, CORTEX - 150)
