"""The score of an audit: how much nearer the synthetic images come than the real ones make likely.

For an image x and a view v (a way of comparing), let d be the distance to the nearest synthetic
image and e_1, e_5 those to the first and fifth neighbour among all real images, used or not, of
other patients. An image in a dense region is near to everything. What is left of log d after what
log e_1 and log e_5 predict is therefore the evidence, and the score is its mean over the views,
each divided by its spread:

    r_v(x) = log d - b_1 log e_1 - b_5 log e_5,   score(x) = mean_v (median r_v - r_v(x)) / spread_v

Nothing here knows which real images were used: the pool, the slopes b (Huber's loss, fitted on four
fifths of the patients and applied to the others), medians and spreads (1.4826 MAD) treat `real` and
`nonmembers` alike. If the synthetic images do not depend
on a patient, that patient's score and those of the non-members are therefore exchangeable, and
conformal p-values hold exactly, whatever the views are. The same would not hold for a fit on the
non-members alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from gansfp.audit.views import View, build_view
from gansfp.errors import UserError
from gansfp.features.backbones import BackboneSpec
from gansfp.features.neighbours import Exclusion

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Vectors = NDArray[np.float32]

log = logging.getLogger(__name__)

Statistic = Literal["residual", "ratio", "nearest"]

NEIGHBOURS = (1, 5)
"""Which neighbours among the real images give the local scale."""

FLOOR = 1e-3
"""Distance below which two images count as equal: their correlation is 0.9999995 or more, and fp32
cannot tell them apart."""

FOLDS = 5


@dataclass(frozen=True)
class Scale:
    """What turns log distances into scores.

    Attributes:
        expected: log d that local density predicts, up to the median: shape (n, views).
        median: Of the residuals, shape (views,).
        spread: Of the residuals, shape (views,).
    """

    expected: Values
    median: Values
    spread: Values

    def score(self, closest: Values) -> Values:
        """Score images by log d, shape (n, views): higher means nearer, shape (n,)."""
        return np.asarray(((self.median - closest + self.expected) / self.spread).mean(axis=1))

    def least(self, score: float) -> Values:
        """Give log d of every view at which an image has this score, shape (n, views)."""
        return self.expected + self.median - score * self.spread


@dataclass
class Attack:
    """How an audit compares images.

    Attributes:
        statistic: `residual` as above; `ratio`: b_1 = 1, b_5 = 0; `nearest`: both 0.
        views: Of `gansfp.audit.views.NAMES`.
        backbone: Network of the view `features`.
        shift: Largest shift of the view `aligned`, pixels.
        device: Where the distances are computed.
    """

    statistic: Statistic = "residual"
    views: Sequence[str] = ("aligned", "coarse", "features")
    backbone: BackboneSpec = field(default_factory=BackboneSpec)
    shift: int = 2
    device: str = "cpu"
    _built: list[View] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.statistic not in get_args(Statistic):
            choices = ", ".join(get_args(Statistic))
            raise UserError(f"attack.statistic={self.statistic}: choose {choices}")
        if not self.views or self.shift < 0:
            raise UserError("attack.views must name a view, attack.shift be 0 or more")
        for name in self.views:
            view = build_view(name, self.backbone, self.shift, self.device)
            self._built.append(view)

    @property
    def first(self) -> View:
        """The view in which pairs of images are shown."""
        return self._built[0]

    def view(self, position: int) -> View:
        """One of the views."""
        return self._built[position]

    def encode(self, images: NDArray[np.uint8]) -> list[Vectors]:
        """Map images, uint8 (N, H, W), to vectors, an array for each view."""
        return [view.encode(images) for view in self._built]

    def neighbours(
        self, queries: Sequence[Vectors], references: Sequence[Vectors], k: int = 1
    ) -> list[tuple[Values, NDArray[np.int64]]]:
        """Find the nearest k references in every view: distances and positions, (n, k) each."""
        return [
            view.neighbours(left, right, k)
            for view, left, right in zip(self._built, queries, references, strict=True)
        ]

    def closest(self, queries: Sequence[Vectors], references: Sequence[Vectors]) -> Values:
        """Find the log distance to the nearest reference, shape (n, views)."""
        found = self.neighbours(queries, references)
        return np.stack([log_distance(distance[:, 0]) for distance, _ in found], axis=1)

    def local(self, pool: Sequence[Vectors], groups: NDArray[Any]) -> Values:
        """Find the log distances of every real image to its neighbours of other groups.

        Args:
            pool: Real images, used and not, as `encode` gives them.
            groups: Patient of each, shape (n,).

        Returns:
            Shape (n, views, 2).

        Raises:
            UserError: An image has fewer than five others to be compared with.
        """
        if self.statistic == "nearest":
            return np.zeros((len(groups), len(self._built), len(NEIGHBOURS)))
        keys = Exclusion(groups, groups)
        found = []
        for view, vectors in zip(self._built, pool, strict=True):
            distance, _ = view.neighbours(vectors, vectors, NEIGHBOURS[-1], keys)
            found.append(log_distance(distance[:, [k - 1 for k in NEIGHBOURS]]))
        return np.stack(found, axis=1)

    def calibrate(self, closest: Values, local: Values, groups: NDArray[Any], seed: int) -> Scale:
        """Find what local density predicts, and medians and spreads.

        Args:
            closest: log d, shape (n, views).
            local: From `local`, shape (n, views, 2).
            groups: Patient of each image, shape (n,).
            seed: Seed of the folds.
        """
        expected = np.stack(
            [
                _EXPECT[self.statistic](closest[:, v], local[:, v], groups, seed)
                for v in range(closest.shape[1])
            ],
            axis=1,
        )
        residual = closest - expected
        median = np.median(residual, axis=0)
        spread = 1.4826 * np.median(np.abs(residual - median), axis=0)
        return Scale(expected, median, np.maximum(spread, 1e-6))


def log_distance(distance: Values) -> Values:
    """Logarithm of distances that are at most 2, those of equal images at the floor."""
    return np.asarray(np.log(np.maximum(distance, FLOOR)))


def _residual(closest: Values, local: Values, groups: NDArray[Any], seed: int) -> Values:
    """What slopes, fitted on the patients of other folds, predict; without an intercept.

    An intercept would be taken out by the median again, and would differ from fold to fold.
    """
    from sklearn.linear_model import HuberRegressor

    codes = np.unique(groups, return_inverse=True)[1].ravel()
    units = int(codes.max()) + 1
    fold = (np.random.default_rng([seed, 0]).permutation(units) % FOLDS)[codes]
    expected = np.empty(len(closest))
    for k in range(FOLDS):
        held_out = fold == k
        if not held_out.any():
            continue
        fit = HuberRegressor(alpha=0.0, max_iter=500).fit(local[~held_out], closest[~held_out])
        expected[held_out] = local[held_out] @ fit.coef_
    return expected


_EXPECT: dict[str, Callable[..., Values]] = {
    "residual": _residual,
    "ratio": lambda closest, local, groups, seed: local[:, 0],
    "nearest": lambda closest, local, groups, seed: np.zeros(len(closest)),
}
