"""Everything that the membership statistics know of distances, each search made once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.errors import UserError
from gansfp.features.mutual import Mutual, mutual
from gansfp.features.neighbours import Exclusion, nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]
    Indices = NDArray[np.int64]
    Vectors = NDArray[Any]


_SCALES = 5
"""Real neighbours that are searched for at once, of which any may give the local scale."""


@dataclass(frozen=True)
class Keyed:
    """Vectors of real images, and what each must not be compared with.

    Attributes:
        vectors: Shape (n, D).
        keys: Patient or image of each, shape (n,); equal keys are not compared.
    """

    vectors: Vectors
    keys: NDArray[Any]

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, kept: NDArray[Any]) -> Keyed:
        """Keep some of the images: a mask or positions."""
        return Keyed(self.vectors[kept], self.keys[kept])


class Neighbourhood:
    """Distances between candidates, synthetic images and other real images.

    Searches are lazy: a statistic costs what it reads. Where the radius or both directions between
    candidates and synthetic images are wanted, they come from one pass over these distances, by far
    the largest ones (`gansfp.features.mutual`).

    Attributes:
        candidates: Real images that are scored.
        synthetic: Vectors of the synthetic images, shape (m, D).
        labelled: Which of the candidates have a label, boolean, shape (n,).
        outsider: Which are known not to be used, boolean, shape (n,).
        transductive: The pool of real images is all candidates, not the labelled ones.
    """

    def __init__(
        self,
        candidates: Keyed,
        synthetic: Vectors,
        labelled: NDArray[np.bool_],
        outsider: NDArray[np.bool_],
        k: int = 1,
        transductive: bool = True,
        both_ways: bool = False,
        radius: str | None = None,
        logs: bool = True,
    ) -> None:
        """Say what may be asked.

        Args:
            candidates: Real images that are scored.
            synthetic: Shape (m, D).
            labelled: Shape (n,).
            outsider: Shape (n,).
            k: Synthetic neighbours that statistics read; fewer where there are fewer images.
            transductive: See the attributes.
            both_ways: The candidates nearest to each synthetic image will be asked for.
            radius: Pairs within a radius will be asked for; it is the `median` distance of the
                labelled images to the nearest synthetic one, or the 0.1 % `percentile` of their
                distances to synthetic ones (Hilprecht et al. 2019; from labelled images, so that
                no test image sets it).
            logs: `inside_log` will be asked for; without it, counting costs less.

        Raises:
            UserError: There are fewer synthetic images than neighbours asked for.
        """
        if k > len(synthetic):
            raise UserError(f"k={k} neighbours asked for, of {len(synthetic)} images: lower k")
        self.candidates, self.synthetic = candidates, synthetic
        self.labelled, self.outsider = labelled, outsider
        self.k, self.transductive = k, transductive
        self._found: dict[str, Scores] = {}
        self.both_ways, self._radius, self._logs = both_ways, radius, logs

    @property
    def pool(self) -> Keyed:
        """Real images that tell how dense a region is."""
        return self.candidates if self.transductive else self.candidates.part(self.labelled)

    @property
    def outsiders(self) -> Keyed:
        """Real images that are known not to be used.

        Raises:
            UserError: There is none.
        """
        if not self.outsider.any():
            raise UserError(
                "data.root: this statistic compares with real images known not to be used, and "
                "there are none: take method.statistic=pool_ratio"
            )
        return self.candidates.part(self.outsider)

    @cached_property
    def radius(self) -> float:
        """The radius of the counts."""
        known = self.candidates.vectors[self.labelled]
        if not len(known):
            raise UserError("data.root: the radius needs labelled real images, there are none")
        if self._radius == "percentile":
            return _percentile(known, self.synthetic, 0.1)
        return float(np.median(nearest(known, self.synthetic, 1)[0]))

    @cached_property
    def _pass(self) -> Mutual:
        left, right = self.candidates.vectors, self.synthetic
        radius = None if self._radius is None else self.radius
        if radius is not None or (self.both_ways and self.transductive):
            return mutual(
                left,
                right,
                self.k,
                min(2, len(left)),
                radius,
                logs=self._logs and radius is not None,
            )
        distance, index = nearest(left, right, self.k)
        return Mutual(distance, index, np.empty((0, 0)), np.empty((0, 0), np.int64))

    @property
    def distance(self) -> Scores:
        """Distance of each candidate to its k nearest synthetic images, ascending, shape (n, k)."""
        return self._pass.distance

    @property
    def index(self) -> Indices:
        """Which synthetic images these are, shape (n, k)."""
        return self._pass.index

    @property
    def inside(self) -> Indices:
        """Synthetic images within the radius of each candidate, shape (n,)."""
        assert self._pass.inside is not None
        return self._pass.inside

    @property
    def inside_log(self) -> Scores:
        """Sum of log(radius / distance) over these, shape (n,)."""
        assert self._pass.inside_log is not None
        return self._pass.inside_log

    def to_pool(self, k: int) -> Scores:
        """Distance to the k-th nearest image of the pool but the candidate's own, shape (n,)."""
        return self._to("pool", self.pool, k)

    def to_outsiders(self, k: int) -> Scores:
        """Distance to the k-th nearest non-member but the candidate's own, shape (n,)."""
        return self._to("outsiders", self.outsiders, k)

    def outsider_matrix(self) -> Scores:
        """Distances to all non-members in their order, infinite to its own patient: (n, r)."""
        others = self.outsiders
        found, order = nearest(self.candidates.vectors, others.vectors, len(others))
        full = np.empty_like(found)
        np.put_along_axis(full, order, found, axis=1)
        full[others.keys == self.candidates.keys[:, None]] = np.inf
        return full

    def outsider_distances(self) -> Scores:
        """Distances to all non-members, ascending, infinite to its own patient: shape (n, r)."""
        return np.sort(self.outsider_matrix(), axis=1)

    @cached_property
    def spacing(self) -> Scores:
        """Distance of synthetic images to the nearest other one, shape (m,).

        Only of those among the k nearest of a candidate; NaN for the rest.
        """
        asked = np.unique(self.index)
        exclude = Exclusion(asked, np.arange(len(self.synthetic)))
        found = np.full(len(self.synthetic), np.nan)
        found[asked] = nearest(self.synthetic[asked], self.synthetic, 1, exclude)[0][:, 0]
        return found

    @cached_property
    def nearest_two(self) -> tuple[Scores, Scores, NDArray[Any]]:
        """Distance of each synthetic image to the pool.

        Returns:
            Distance to the nearest image; to the nearest one of another key than that one's; and
            that one's key; each of shape (m,).
        """
        pool = self.pool
        alone = len(np.unique(pool.keys)) == len(pool)
        if alone and self.transductive and self.both_ways:
            found = self._pass
            near, winner = found.back_distance, pool.keys[found.back_index[:, 0]]
            return near[:, 0], near[:, 1], winner
        first, index = nearest(self.synthetic, pool.vectors, 1)
        winner = pool.keys[index[:, 0]]
        exclude = Exclusion(winner, pool.keys)
        second = nearest(self.synthetic, pool.vectors, 1, exclude)[0]
        return first[:, 0], second[:, 0], winner

    def _to(self, name: str, others: Keyed, k: int) -> Scores:
        """Search once for as many neighbours as were ever asked for, five at the least."""
        known = self._found.get(name)
        if known is None or known.shape[1] < k:
            exclude = Exclusion(self.candidates.keys, others.keys)
            wanted = max(k, min(_SCALES, self._fewest(others)))
            known = nearest(self.candidates.vectors, others.vectors, wanted, exclude)[0]
            self._found[name] = known
        return np.asarray(known[:, k - 1])

    def _fewest(self, others: Keyed) -> int:
        """Count the others that every candidate may be compared with."""
        own = np.unique(others.keys, return_counts=True)[1]
        return len(others) - int(own.max(initial=0))


def _percentile(left: Vectors, right: Vectors, percent: float) -> float:
    """Estimate a percentile of the distances between two sets, from evenly chosen vectors."""
    from scipy.spatial.distance import cdist

    one, two = (side[:: -(-len(side) // most)] for side, most in ((left, 256), (right, 4096)))
    return float(np.percentile(cdist(one.astype(np.float64), two.astype(np.float64)), percent))
