"""Great vessels, windpipe and the vessel trees of the lungs of one patient."""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.curves import ellipse
from gansfp.data.sources.phantom.thorax import LUNG_BASE, LUNG_TOP, lung_corners
from gansfp.data.sources.phantom.trees import LEVELS, Tree, beside, grow
from gansfp.data.sources.phantom.tubes import Tubes, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gansfp.data.sources.phantom.patient import Patient
    from gansfp.data.sources.phantom.plane import Plane

    Floats = NDArray[np.float64]
    Rows = Sequence[Sequence[float]]

# Rows of x, y, z, radius in mm of the standard body.
AORTA: Rows = (
    (4, -24, 46, 15), (-10, -32, 22, 16), (-16, -32, -5, 16), (-12, -24, -38, 15),
    (0, -6, -55, 14), (14, 16, -54, 13), (24, 36, -38, 13), (26, 46, -10, 12.5),
    (25, 47, 30, 12), (22, 46, 70, 12), (16, 43, 120, 11.5), (8, 36, 180, 11), (4, 30, 240, 10),
    (3, 28, 330, 9),
)  # fmt: skip
PULMONARY_ARTERY: dict[str, Rows] = {
    "trunk": ((12, -50, 42, 13), (18, -42, 20, 14), (20, -28, 6, 14), (22, -14, 2, 12)),
    "right": ((18, -20, 6, 12), (-2, -8, 10, 11.5), (-24, -2, 14, 11), (-40, 6, 26, 9),
              (-46, 14, 45, 8), (-48, 22, 66, 6.5)),
    "left": ((20, -16, 2, 12), (34, 0, -6, 11.5), (43, 14, 4, 10), (46, 20, 22, 8.5),
             (49, 25, 42, 7.5), (52, 30, 64, 6)),
}  # fmt: skip
VEINS: dict[str, Rows] = {
    "vena cava above": ((-26, -22, -80, 8), (-30, -20, -40, 9), (-31, -18, 0, 9.5),
                        (-32, -20, 32, 11)),
    "vena cava below": ((-30, -14, 92, 14), (-26, 2, 112, 13), (-24, 16, 140, 13),
                        (-22, 22, 190, 12), (-18, 26, 260, 11), (-16, 26, 330, 11)),
    "brachiocephalic": ((-27, -22, -78, 8), (-8, -30, -70, 6.5), (20, -26, -82, 6.5),
                        (38, -10, -105, 6)),
    "azygos": ((-28, -6, -32, 4.5), (-20, 20, -36, 4.5), (-9, 38, -20, 4), (-8, 41, 40, 3.5),
               (-7, 42, 130, 3)),
}  # fmt: skip
LUNG_VEINS: Rows = (
    (20, 2, 38, 8), (38, 0, 32, 7), (52, -10, 16, 5.5), (56, -18, 4, 4),
)  # fmt: skip
LOWER_LUNG_VEINS: Rows = ((20, 14, 54, 8), (38, 22, 60, 7), (56, 34, 74, 5.5), (62, 42, 84, 4.5))
ARCH_BRANCHES: dict[str, Rows] = {
    "brachiocephalic": ((-8, -14, -56, 6.5), (-18, -12, -80, 6), (-34, 0, -105, 5),
                        (-70, 14, -122, 4)),
    "carotid": ((2, -8, -58, 4.5), (14, -6, -85, 4), (24, 2, -125, 3.8), (27, 4, -200, 3.5)),
    "right carotid": ((-20, -10, -85, 4), (-25, 2, -125, 3.8), (-28, 4, -200, 3.5)),
    "subclavian": ((12, 8, -56, 5), (28, 12, -85, 5), (48, 14, -112, 4.5), (85, 16, -120, 4)),
}
AIRWAYS: dict[str, Rows] = {
    "windpipe": ((0, -6, -220, 8), (0, -2, -150, 8.5), (-1, 6, -90, 8.5), (-2, 14, -40, 9),
                 (0, 19, -2, 9.5)),
    "right": ((0, 19, -2, 7.5), (-16, 19, 9, 7.2), (-30, 20, 18, 6.5), (-36, 22, 36, 5.5),
              (-42, 28, 60, 4.5)),
    "right upper": ((-24, 20, 10, 5), (-38, 18, 5, 4.6), (-52, 12, -2, 3.6)),
    "left": ((0, 19, -2, 7), (16, 20, 14, 6.4), (30, 22, 28, 6), (38, 25, 38, 5.4),
             (44, 32, 62, 4.2)),
    "left upper": ((32, 23, 29, 4.6), (44, 16, 24, 4.2), (54, 4, 14, 3.2)),
}  # fmt: skip
_ROOTS = {  # where the trees start: artery, vein
    1: ((48, 22, 24), (44, 12, 42)),
    -1: ((-46, 15, 28), (-44, 12, 42)),
}


class Vessels:
    """Everything tubular in one patient's chest; grown when first asked for."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient

    @cached_property
    def tree(self) -> Tree:
        """Arteries (owners 0, 2) and veins (1, 3) of the right and left lung."""
        rng = self.patient.rng("trees")
        roots, points = [], []
        for side in (-1, 1):
            for root in _ROOTS[side]:
                roots.append(np.add(root, rng.normal(0, 2.5, 3)))
                points.append(_fill(self.patient, side, 2**LEVELS, rng))
        tip = float(0.50 * np.exp(0.10 * rng.standard_normal()))
        return grow(np.stack(roots), np.stack(points), rng, tip)

    def _moved(self, rows: Rows, name: str, spread: float, mirror: bool = False) -> Tubes:
        """A named vessel of the standard body, with this patient's course and calibre."""
        rng = self.patient.rng("vessel", name)
        table = np.array(rows, dtype=np.float64)
        if mirror:
            table[:, 0] *= -1
        table[:, :3] += spread * np.clip(rng.standard_normal((len(table), 3)), -2, 2)
        table[:, 3] *= np.exp(0.10 * rng.standard_normal())
        return Tubes.along(table)

    @cached_property
    def aorta(self) -> Tubes:
        """From the valve over the arch to the belly; wider with age."""
        tubes = self._moved(AORTA, "aorta", 2.0)
        wide = 1 + 0.004 * (self.patient.traits.age - 60)
        radii = tubes.start_radius * wide, tubes.stop_radius * wide
        return Tubes(tubes.start, tubes.stop, *radii)

    @cached_property
    def lung_arteries(self) -> list[Tubes]:
        """Trunk and both main arteries."""
        return [self._moved(rows, f"artery {name}", 2.0) for name, rows in PULMONARY_ARTERY.items()]

    @cached_property
    def veins(self) -> list[Tubes]:
        """Both venae cavae and what joins them."""
        return [self._moved(rows, name, 2.0) for name, rows in VEINS.items()]

    @cached_property
    def lung_veins(self) -> list[Tubes]:
        """From both lungs to the left atrium."""
        return [
            self._moved(rows, f"lung vein {k} {mirror}", 3.0, mirror)
            for k, rows in enumerate((LUNG_VEINS, LOWER_LUNG_VEINS))
            for mirror in (False, True)
        ]

    @cached_property
    def branches(self) -> list[Tubes]:
        """Arteries to the head and arms."""
        return [self._moved(rows, f"arch {name}", 1.5) for name, rows in ARCH_BRANCHES.items()]

    @cached_property
    def airways(self) -> list[Tubes]:
        """Windpipe and main bronchi."""
        return [self._moved(rows, f"airway {name}", 1.2) for name, rows in AIRWAYS.items()]

    @cached_property
    def bronchi(self) -> Tubes:
        """Bronchi along the arteries inside the lungs."""
        tree = self.tree
        inner = (tree.depth < 6) & (tree.owner % 2 == 0)
        return beside(tree.tubes[inner])


def _fill(patient: Patient, side: int, count: int, rng: np.random.Generator) -> Floats:
    """Points evenly inside one lung, shape (count, 3), mm; sparser towards the rim and the top."""
    edges, table, area = _lung_table()
    table = table * (side, 1)
    place = np.interp(
        (np.arange(count) + rng.uniform(size=count)) / count,
        np.concatenate([[0], np.cumsum(area)]) / area.sum(),
        np.concatenate([[0], np.arange(len(area)) + 1.0]),
    )
    low = np.minimum(place.astype(np.int64), len(edges) - 2)
    share = np.clip(place - low - 0.5, 0, 1)
    corner = _corners(table, low, rng)
    weight = np.sqrt(rng.uniform(size=count)) * 0.97
    along = rng.uniform(size=count)
    levels = (1 - share) * edges[low] + share * edges[low + 1]
    outline = (1 - share)[:, None, None] * table[low] + share[:, None, None] * table[low + 1]
    rows = np.arange(count)
    rim = (1 - along)[:, None] * outline[rows, corner] + along[:, None] * outline[
        rows, (corner + 1) % table.shape[1]
    ]
    middle = outline.mean(1)
    return np.concatenate([middle + weight[:, None] * (rim - middle), levels[:, None]], axis=1)


def _corners(table: Floats, low: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Points of the outlines, drawn by the area of the triangle to the middle and the next one."""
    arm = table - table.mean(1, keepdims=True)
    following = np.roll(arm, -1, axis=1)
    area = np.abs(arm[..., 0] * following[..., 1] - arm[..., 1] * following[..., 0])
    total = np.cumsum(area, axis=1)
    aim = rng.uniform(size=len(low)) * total[low, -1]
    corner: NDArray[np.int64] = (total[low] < aim[:, None]).sum(1)
    return np.minimum(corner, table.shape[1] - 1)


@lru_cache(maxsize=1)
def _lung_table() -> tuple[Floats, Floats, Floats]:
    """Levels, outlines of the standard left lung there, and their areas in mm^2 (shoelace)."""
    edges = np.linspace(LUNG_TOP + 8, LUNG_BASE - 8, 23)
    table = np.stack([lung_corners(float(level)) for level in edges])
    x, y = table[..., 0], table[..., 1]
    area = np.abs(np.sum(x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1), axis=1)) / 2
    return edges, table, area


def paint_tubes(plane: Plane, tubes: Tubes, value: float, grow: float = 0.0) -> None:
    """Fill the cuts of tubes with the plane, widened by some mm."""
    plane.fill_all(cut(tubes.grown(grow) if grow else tubes, plane.level), value)


def paint_lung_trees(plane: Plane, vessels: Vessels) -> None:
    """Vessels and bronchi inside the lungs; what lies before the heart is painted over later."""
    traits = vessels.patient.traits
    tree = vessels.tree
    for owner, blood in enumerate((traits.right_contrast, traits.contrast) * 2):
        paint_tubes(plane, tree.tubes[tree.owner == owner], 40 + blood)
    bronchi = vessels.bronchi
    bronchi = bronchi[bronchi.near(plane.level)]
    wide = bronchi[np.minimum(bronchi.start_radius, bronchi.stop_radius) > 1.1]
    paint_tubes(plane, wide, -60.0)
    paint_tubes(plane, wide, -960.0, grow=-0.8)


def paint_great_vessels(plane: Plane, vessels: Vessels) -> None:
    """Arteries, veins, windpipe and gullet of the mediastinum."""
    traits = vessels.patient.traits
    right, left = 42 + traits.right_contrast, 42 + traits.contrast
    for tubes in vessels.lung_veins:
        paint_tubes(plane, tubes, left)
    for tubes in vessels.lung_arteries:
        paint_tubes(plane, tubes, right)
    for tubes in vessels.veins:
        paint_tubes(plane, tubes, 42 + 0.8 * traits.right_contrast)
    for tubes in vessels.branches:
        paint_tubes(plane, tubes, left)
    paint_gullet(plane, vessels.patient)
    paint_tubes(plane, vessels.aorta, 50.0, grow=1.2)
    paint_tubes(plane, vessels.aorta, left)
    for tubes in vessels.airways:
        paint_tubes(plane, tubes, 20.0, grow=1.3)
    for tubes in vessels.airways:
        paint_tubes(plane, tubes, -990.0)


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
