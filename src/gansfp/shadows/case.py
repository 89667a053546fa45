"""One target generator with its shadow generators, as every attack reads it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gansfp.shadows.distances import closeness, floor_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Case:
    """Distances of n real images to the samples of a target and of S shadow generators.

    Attributes:
        target: Distances to the target's samples, ascending, shape (n, depth).
        shadow: Distances to those of each shadow generator, shape (S, n, depth).
        known: Whether a shadow generator was trained on an image or on its patient, shape (S, n).
        pool: Distances to the real images of other patients, shape (n, depth).
        groups: Patient number of each image, shape (n,).
        population: Images known not to be used by the target, shape (n,): RMIA compares with them.
        fitting: Images that spreads and classifiers may be fitted on, shape (n,).
        k: Neighbours of the statistic.
        values: Another statistic than closeness: at the target, shape (n,), and at the shadow
            generators, shape (S, n).
    """

    target: Values
    shadow: Values
    known: Mask
    pool: Values
    groups: NDArray[np.int64]
    population: Mask
    fitting: Mask
    k: int = 1
    values: tuple[Values, Values] | None = None

    @cached_property
    def floor(self) -> float:
        """Smallest distance that counts."""
        return floor_of(self.target[self.fitting, 0])

    @cached_property
    def scale(self) -> float:
        """Median of the distances that the statistic stands for, at the shadow generators.

        Raises:
            ValueError: There is none.
        """
        if not len(self.shadow):
            raise ValueError("there is no shadow generator")
        return float(np.exp(-np.median(self.shadows[:, self.fitting])))

    @cached_property
    def observed(self) -> Values:
        """The statistic at the target, higher for images that it is close to, shape (n,)."""
        if self.values is not None:
            return self.values[0]
        return closeness(self.target, self.k, self.floor)

    @cached_property
    def shadows(self) -> Values:
        """The statistic at the shadow generators, shape (S, n)."""
        if self.values is not None:
            return self.values[1]
        return closeness(self.shadow, self.k, self.floor)


def independent(membership: Mask, target: int) -> NDArray[np.int64]:
    """Name the generators whose members say nothing of the target's.

    A bank deals complementary halves: the target's partner knows exactly whom the target does not,
    and which shadow generators know an image would give the target's truth away.

    Args:
        membership: Shape (K, n).
        target: One of the K.

    Returns:
        Positions of the others, without those trained on the same images or on all others.
    """
    agreement = (membership == membership[target]).mean(axis=1)
    return np.flatnonzero((agreement > 0.0) & (agreement < 1.0))
