"""Courses of the great vessels and airways: rows of x, y, z and radius in mm.

Standard body: x to the patient's left, y to the back, z downwards from the carina.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating]
    Indices = NDArray[np.int64]

Rows = Sequence[Sequence[float]]

# Spread of the points between patients in mm, and the courses, by what flows in them.
COURSES: dict[str, tuple[float, dict[str, Rows]]] = {
    "lung veins": (3.0, {
        "upper left": (
            (20, 2, 38, 8), (38, 0, 32, 7), (52, -10, 16, 5.5), (56, -18, 4, 4),
        ),
        "upper right": (
            (-20, 2, 38, 8), (-38, 0, 32, 7), (-52, -10, 16, 5.5), (-56, -18, 4, 4),
        ),
        "lower left": (
            (20, 14, 54, 8), (38, 22, 60, 7), (56, 34, 74, 5.5), (62, 42, 84, 4.5),
        ),
        "lower right": (
            (-20, 14, 54, 8), (-38, 22, 60, 7), (-56, 34, 74, 5.5), (-62, 42, 84, 4.5),
        ),
    }),
    "lung arteries": (2.0, {
        "trunk": (
            (12, -50, 42, 13), (18, -42, 20, 14), (20, -28, 6, 14), (22, -14, 2, 12),
        ),
        "right": (
            (18, -20, 6, 12), (-2, -8, 10, 11.5), (-24, -2, 14, 11), (-40, 6, 26, 9),
            (-46, 14, 45, 8), (-48, 22, 66, 6.5),
        ),
        "left": (
            (20, -16, 2, 12), (34, 0, -6, 11.5), (43, 14, 4, 10), (46, 20, 22, 8.5),
            (49, 25, 42, 7.5), (52, 30, 64, 6),
        ),
    }),
    "veins": (2.0, {
        "vena cava above": (
            (-26, -22, -80, 8), (-30, -20, -40, 9), (-31, -18, 0, 9.5), (-32, -20, 32, 11),
        ),
        "vena cava below": (
            (-30, -14, 92, 14), (-26, 2, 112, 13), (-24, 16, 140, 13), (-22, 22, 190, 12),
            (-18, 26, 260, 11), (-16, 26, 330, 11),
        ),
        "brachiocephalic": (
            (-27, -22, -78, 8), (-8, -30, -70, 6.5), (20, -26, -82, 6.5), (38, -10, -105, 6),
        ),
        "azygos": (
            (-28, -6, -32, 4.5), (-20, 20, -36, 4.5), (-9, 38, -20, 4), (-8, 41, 40, 3.5),
            (-7, 42, 130, 3),
        ),
    }),
    "arch": (1.5, {
        "brachiocephalic": (
            (-8, -14, -56, 6.5), (-18, -12, -80, 6), (-34, 0, -105, 5), (-70, 14, -122, 4),
        ),
        "carotid": (
            (2, -8, -58, 4.5), (14, -6, -85, 4), (24, 2, -125, 3.8), (27, 4, -200, 3.5),
        ),
        "right carotid": (
            (-20, -10, -85, 4), (-25, 2, -125, 3.8), (-28, 4, -200, 3.5),
        ),
        "subclavian": (
            (12, 8, -56, 5), (28, 12, -85, 5), (48, 14, -112, 4.5), (85, 16, -120, 4),
        ),
    }),
    "aorta": (2.0, {
        "aorta": (
            (4, -24, 46, 15), (-10, -32, 22, 16), (-16, -32, -5, 16), (-12, -24, -38, 15),
            (0, -6, -55, 14), (14, 16, -54, 13), (24, 36, -38, 13), (26, 46, -10, 12.5),
            (25, 47, 30, 12), (22, 46, 70, 12), (16, 43, 120, 11.5), (8, 36, 180, 11),
            (4, 30, 240, 10), (3, 28, 330, 9),
        ),
    }),
    "airways": (1.2, {
        "windpipe": (
            (0, -6, -220, 8), (0, -2, -150, 8.5), (-1, 6, -90, 8.5), (-2, 14, -40, 9),
            (0, 19, -2, 9.5),
        ),
        "right": (
            (0, 19, -2, 7.5), (-16, 19, 9, 7.2), (-30, 20, 18, 6.5), (-36, 22, 36, 5.5),
            (-42, 28, 60, 4.5),
        ),
        "right upper": (
            (-24, 20, 10, 5), (-38, 18, 5, 4.6), (-52, 12, -2, 3.6),
        ),
        "left": (
            (0, 19, -2, 7), (16, 20, 14, 6.4), (30, 22, 28, 6), (38, 25, 38, 5.4),
            (44, 32, 62, 4.2),
        ),
        "left upper": (
            (32, 23, 29, 4.6), (44, 16, 24, 4.2), (54, 4, 14, 3.2),
        ),
    }),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CourseTable:
    """All courses as one table of N points and E edges between them.

    Attributes:
        points: x, y, z, radius, shape (N, 4).
        spread: Of the points between patients in mm, shape (N, 1).
        kind: Which key of `COURSES`, in order, shape (N,).
        owner: Which course, shape (N,).
        inner: Rows a and b, shape (2, M), with which 2 a - b gives the points and one more,
            straight on, beyond each end of a course.
        edges: Of each edge the four such points around it, shape (E, 4).
        edge_kind: Which key of `COURSES`, shape (E,).
    """

    points: Floats
    spread: Floats
    kind: Indices
    owner: Indices
    inner: Indices
    edges: Indices
    edge_kind: Indices

    def neighbours(self, points: Floats) -> Floats:
        """The four points around each edge, shape (E, 4, 4); `points` as the attribute."""
        padded = 2 * points[self.inner[0]] - points[self.inner[1]]
        around: Floats = padded[self.edges]
        return around


@lru_cache(maxsize=1)
def course_table() -> CourseTable:
    """Make the table of all courses."""
    points: list[Sequence[float]] = []
    inner: list[tuple[int, int]] = []
    edges: list[list[int]] = []
    kind: list[int] = []
    owner: list[int] = []
    spread: list[float] = []
    edge_kind: list[int] = []
    for number, (size, courses) in enumerate(COURSES.values()):
        for rows in courses.values():
            first, last, padded = len(points), len(points) + len(rows) - 1, len(inner)
            inner += [(first, first + 1), *((k, k) for k in range(first, last + 1))]
            inner += [(last, last - 1)]
            edges += [[padded + k + j for j in range(4)] for k in range(len(rows) - 1)]
            edge_kind += [number] * (len(rows) - 1)
            owner += [owner[-1] + 1 if owner else 0] * len(rows)
            kind += [number] * len(rows)
            spread += [size] * len(rows)
            points += rows
    return CourseTable(
        points=np.array(points, dtype=np.float64),
        spread=np.array(spread)[:, None],
        kind=np.array(kind),
        owner=np.array(owner),
        inner=np.array(inner).T,
        edges=np.array(edges),
        edge_kind=np.array(edge_kind),
    )
