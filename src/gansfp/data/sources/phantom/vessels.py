"""Great vessels, windpipe and the vessel trees of the lungs of one patient."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.courses import COURSES, course_table
from gansfp.data.sources.phantom.curves import edge_steps, ellipse
from gansfp.data.sources.phantom.thorax import LUNG_BASE, LUNG_TOP, lung_corners
from gansfp.data.sources.phantom.trees import LEVELS, Tree, beside, grow
from gansfp.data.sources.phantom.tubes import Tubes, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane

    Floats = NDArray[np.floating]

_ROOTS = {  # where the trees start: artery, vein
    1: ((48, 22, 24), (44, 12, 42)),
    -1: ((-46, 15, 28), (-44, 12, 42)),
}


class Vessels:
    """Everything tubular in one patient's chest; grown when first asked for.

    Attributes:
        patient: Whose.
        thickness: Of the slices in mm; the lung's vessels are averaged over it.
    """

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.thickness = float(patient.rng("thickness").choice((1.25, 2.0, 2.5, 3.5)))

    def tree(self, level: float | None = None) -> Tree:
        """Arteries (owners 0, 2) and veins (1, 3) of the right and left lung.

        Args:
            level: Only the branches that may meet it, mm; None: all.
        """
        rng = self.patient.rng("trees")
        roots = np.array([root for side in (-1, 1) for root in _ROOTS[side]], dtype=np.float64)
        roots += rng.normal(0, 2.5, roots.shape)
        bank = _bank()
        points = bank[rng.integers(len(bank), size=(len(roots), 2**LEVELS))]
        points += rng.normal(0, 2, points.shape)
        points[:2, :, 0] *= -1  # the right lung
        tip = float(0.47 * np.exp(0.10 * rng.standard_normal()))
        return grow(roots, points, rng, tip, level)

    def great(self, kind: str) -> Tubes:
        """Great vessels or airways of a kind, a key of `COURSES`."""
        return self._great[kind]

    @cached_property
    def _great(self) -> dict[str, Tubes]:
        """Smooth tubes along the standard body's courses, moved and widened for the patient."""
        table = course_table()
        rng = self.patient.rng("courses")
        moved = table.points.copy()
        moved[:, :3] += table.spread * np.clip(rng.standard_normal((len(moved), 3)), -2, 2)
        moved[:, 3] *= np.exp(0.10 * rng.standard_normal(table.owner.max() + 1))[table.owner]
        aorta = table.kind == list(COURSES).index("aorta")
        moved[aorta, 3] *= 1 + 0.004 * (self.patient.traits.age - 60)
        line = edge_steps() @ table.neighbours(moved)
        found = {}
        for number, kind in enumerate(COURSES):
            part = line[table.edge_kind == number]
            start, stop = part[:, :-1].reshape(-1, 4), part[:, 1:].reshape(-1, 4)
            found[kind] = Tubes(start[:, :3], stop[:, :3], start[:, 3], stop[:, 3])
        return found


@lru_cache(maxsize=1)
def _bank() -> Floats:
    """Points evenly inside the left lung of the standard body, shape (16384, 3), mm.

    Every patient feeds some of them, moved a little.
    """
    rng, count = np.random.default_rng(0), 16384
    edges, table, area = _lung_table()
    place = np.interp(
        (rng.permutation(count) + rng.uniform(size=count)) / count,
        np.concatenate([[0], np.cumsum(area)]) / area.sum(),
        np.arange(len(area) + 1.0),
    )
    low = np.minimum(place.astype(np.int64), len(edges) - 2)
    share = np.clip(place - low, 0, 1)[:, None]
    # Even in area: a triangle between the middle and two neighbours on the outline.
    corner = _corners(table, low, rng)
    following = (corner + 1) % table.shape[1]
    reach, along = np.sqrt(rng.uniform(size=(count, 1))) * 0.97, rng.uniform(size=(count, 1))
    shape = []
    for row in (low, low + 1):
        rim = (1 - along) * table[row, corner] + along * table[row, following]
        middle = table.mean(1)[row]
        shape.append(middle + reach * (rim - middle))
    points = (1 - share) * shape[0] + share * shape[1]
    height = edges[low] + share[:, 0] * (edges[1] - edges[0])
    return np.concatenate([points, height[:, None]], axis=1)


def _corners(table: Floats, low: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Points of the outlines, drawn by the area of the triangle to the middle and the next one."""
    arm = table - table.mean(1, keepdims=True)
    following = np.roll(arm, -1, axis=1)
    area = np.abs(arm[..., 0] * following[..., 1] - arm[..., 1] * following[..., 0])
    total = np.cumsum(area, axis=1)
    aim = rng.uniform(size=len(low)) * total[low, -1]
    corner: NDArray[np.int64] = (total[low] < aim[:, None]).sum(1)
    return corner.clip(max=table.shape[1] - 1)


@lru_cache(maxsize=1)
def _lung_table() -> tuple[Floats, Floats, Floats]:
    """Levels, outlines of the standard left lung there, and their areas in mm^2 (shoelace)."""
    edges = np.linspace(LUNG_TOP + 8, LUNG_BASE - 8, 23)
    table = np.stack([lung_corners(float(level)) for level in edges])
    x, y = table[..., 0], table[..., 1]
    area = np.abs(np.sum(x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1), axis=1)) / 2
    return edges, table, area


def paint_tubes(plane: Plane, lots: Sequence[tuple[Tubes, float]]) -> None:
    """Fill the cuts of lots of tubes with the plane, one lot over the other, each in its value."""
    found = [tubes[tubes.near(plane.level)] for tubes, _ in lots]
    values = np.repeat([value for _, value in lots], [len(tubes.start) for tubes in found])
    if len(values):
        plane.fill_all(cut(Tubes.joined(found), plane.level), values)


def paint_lung_trees(plane: Plane, vessels: Vessels) -> None:
    """Vessels and bronchi inside the lungs; what lies before the heart is painted over later.

    Fine vessels fill a part of the slice's thickness only, and are as much darker.
    """
    traits = vessels.patient.traits
    tree = vessels.tree(plane.level)
    thick = vessels.thickness
    near = tree.tubes.near(plane.level, thick)
    tubes, artery, depth = tree.tubes[near], tree.owner[near] % 2 == 0, tree.depth[near]
    blood = 40 + np.where(artery, traits.right_contrast, traits.contrast)
    values = traits.lung + tubes.share(thick) * (blood - traits.lung)
    order = np.argsort(values, kind="stable")
    plane.fill_all(cut(tubes, plane.level, thick)[order], values[order])
    bronchi = beside(tubes[(depth < 5) & artery])
    wide = bronchi[np.minimum(bronchi.start_radius, bronchi.stop_radius) > 1.1]
    paint_tubes(plane, [(wide, -120.0), (wide.grown(-0.8), -950.0)])


def paint_great_vessels(plane: Plane, vessels: Vessels) -> None:
    """Arteries, veins, windpipe and gullet of the mediastinum."""
    traits = vessels.patient.traits
    right, left = 42 + traits.right_contrast, 42 + traits.contrast
    bloods = {
        "lung veins": left,
        "lung arteries": right,
        "veins": 42 + 0.8 * traits.right_contrast,
        "arch": left,
    }
    paint_gullet(plane, vessels.patient)
    lots = [(vessels.great(kind), value) for kind, value in bloods.items()]
    aorta, airways = (vessels.great(kind) for kind in ("aorta", "airways"))
    lots += [(aorta.grown(1.2), 50.0), (aorta, left)]
    paint_tubes(plane, [*lots, (airways.grown(1.3), 20.0), (airways, -990.0)])


def paint_gullet(plane: Plane, patient: Patient) -> None:
    """The oesophagus, now and then with air in it."""
    level = plane.level
    if not -200 < level < 135:
        return
    rng = patient.rng("gullet")
    shift, air = rng.normal(0, 2.5, 2), rng.uniform()
    depth = np.interp(level, (-200, -100, 0, 60, 135), (14, 22, 33, 33, 26))
    centre = (4 + 8 * max(0.0, level - 60) / 75 + shift[0], depth + shift[1] * 0.5)
    plane.fill(ellipse(centre, (8.0, 5.5)), patient.traits.tissue - 14)
    if air < 0.3:
        plane.fill(ellipse((centre[0] + 1, centre[1]), (3.0, 2.2)), -800.0)
