"""An audit's measurements on given sets: encoded once, scored against any part of the synthetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansfp.audit.attack import log_distance
from gansfp.audit.exposure import Exposure, SetTest, Units, exposed, set_test, visible_share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gansfp.audit.attack import Attack, Scale, Values, Vectors
    from gansfp.evaluation.intervals import Interval


@dataclass(frozen=True)
class Examination:
    """Real images, non-members and synthetic images as an attack sees them.

    Attributes:
        attack: How they are compared.
        pool: Real images, then non-members, an array for each view, n rows each.
        synthetic: Synthetic images, an array for each view, m rows each.
        groups: Patient of each image of the pool, shape (n,).
        labels: 1 for `real`, 0 for non-members, shape (n,).
        local: Log distances within the pool, shape (n, views, 2).
        units: Patients or images.
        seed: Seed of folds and permutations.
    """

    attack: Attack
    pool: Sequence[Vectors]
    synthetic: Sequence[Vectors]
    groups: NDArray[np.str_]
    labels: NDArray[np.int64]
    local: Values
    units: Units
    seed: int = 0

    @classmethod
    def of(
        cls,
        attack: Attack,
        pool: Sequence[Vectors],
        synthetic: Sequence[Vectors],
        groups: NDArray[np.str_],
        labels: NDArray[np.int64],
        combine: str = "mean",
        seed: int = 0,
    ) -> Examination:
        """Measure how far the images of the pool are from each other; the rest is asked for."""
        units = Units.of(groups, labels, combine)
        local = attack.local(pool, groups)
        return cls(attack, pool, synthetic, groups, labels, local, units, seed)

    def closest(self, rows: NDArray[np.int64] | None = None) -> Values:
        """Find log distances of the pool to the nearest image of `rows`, shape (n, views)."""
        kept = self.synthetic if rows is None else [vectors[rows] for vectors in self.synthetic]
        return self.attack.closest(self.pool, kept)

    def scale(self, closest: Values) -> Scale:
        """What turns log distances into scores."""
        return self.attack.calibrate(closest, self.local, self.groups, self.seed)

    def findings(self, closest: Values, q: float, permutations: int) -> Findings:
        """Answer the audit's questions for these distances."""
        image = self.scale(closest).score(closest)
        unit = self.units.score(image)
        labels = self.units.labels
        return Findings(
            image,
            unit,
            set_test(unit, labels, permutations, self.seed),
            visible_share(unit, labels),
            exposed(unit, labels, q),
        )

    def part(self, kept: NDArray[np.bool_]) -> Examination:
        """Leave out images of the pool, in whole patients; `kept` has shape (n,)."""
        rows = np.flatnonzero(kept)
        return Examination.of(
            self.attack,
            [vectors[rows] for vectors in self.pool],
            self.synthetic,
            self.groups[rows],
            self.labels[rows],
            self.units.combine,
            self.seed,
        )


@dataclass(frozen=True)
class Findings:
    """What a set of synthetic images shows of the pool.

    Attributes:
        image_score: Of each image of the pool, shape (n,).
        score: Of each unit, shape (u,).
        test: Whether the set leaks at all.
        share: Share of the units of `real` that it gives away, from below.
        exposure: Which ones.
    """

    image_score: Values
    score: Values
    test: SetTest
    share: Interval
    exposure: Exposure


def nearest_pairs(examination: Examination, rows: NDArray[np.int64]) -> list[tuple[int, float]]:
    """Find the nearest synthetic image of images of the pool, in the attack's first view.

    Returns:
        Position among the synthetic images, and distance, for each of `rows`.
    """
    if not len(rows):
        return []
    queries = [vectors[rows] for vectors in examination.pool]
    distance, index = examination.attack.neighbours(queries, examination.synthetic)[0]
    return [(int(i), float(d)) for i, d in zip(index[:, 0], distance[:, 0], strict=True)]


def with_copies(examination: Examination, closest: Values, copies: Sequence[Vectors]) -> Values:
    """Find the log distances as they would be with further synthetic images, shape (n, views).

    Args:
        examination: The pool.
        closest: log distances without them, shape (n, views).
        copies: The further images, an array for each view.
    """
    found = examination.attack.neighbours(examination.pool, copies)
    further = np.stack([log_distance(distance[:, 0]) for distance, _ in found], axis=1)
    return np.minimum(closest, further)
