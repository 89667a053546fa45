"""Sets of test images of equal content, one image a class: what is left of an attribution there?

A method may tell subsets by what their images show, or by the generator's hand. Where images are
compared that show the same, the first is of no use: matching as in Rosenbaum and Rubin,
"Constructing a control group using multivariate matched sampling methods", The American
Statistician 1985, of several groups at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SIDE = 8
"""Side of the low-pass image that stands for content, pixels."""


def content(images: NDArray[np.uint8], side: int = SIDE) -> Array:
    """Describe what images show: their means over a grid, without any fine detail.

    Args:
        images: uint8, shape (N, H, W).
        side: Of the grid.

    Returns:
        In units of the grey range, shape (N, side * side).
    """
    from gansfp.features.representations import Pixels

    return Pixels(side).encode(images).astype(np.float64)


def matched_sets(
    described: Array, targets: NDArray[np.int64], share: float = 0.5
) -> NDArray[np.int64]:
    """Choose sets of one image a class that show nearly the same.

    Each image and its nearest one of every other class make a candidate set, which costs the
    largest of these distances. Candidates are taken in the order of their costs where no image of
    theirs is taken yet; what is left over is matched again, until enough sets are found.

    Args:
        described: Shape (n, d).
        targets: Classes 0, 1, ..., shape (n,).
        share: Sets, as a share of the images of the smallest class: fewer match better.

    Returns:
        Positions, a set a row with its classes in order, shape (m, classes).

    Raises:
        ValueError: There is one class, or the share is none.
    """
    classes = int(targets.max()) + 1 if len(targets) else 0
    smallest = np.bincount(targets, minlength=classes).min() if classes else 0
    wanted = int(np.ceil(share * smallest - 1e-9))
    if classes < 2 or not 0 < share <= 1:
        raise ValueError(f"{classes} classes, share={share}: need two, and a share of (0, 1]")
    distances = np.sqrt(np.maximum(_squared(described), 0.0))
    free = np.ones(len(targets), dtype=bool)
    found: list[NDArray[np.int64]] = []
    while len(found) < wanted:
        for members in _candidates(distances, targets, classes, free):
            if len(found) < wanted and free[members].all():
                free[members] = False
                found.append(members)
    return np.stack(found) if found else np.empty((0, classes), dtype=np.int64)


def _candidates(
    distances: Array, targets: NDArray[np.int64], classes: int, free: NDArray[np.bool_]
) -> list[NDArray[np.int64]]:
    """Give each free image with its nearest free one of every other class, cheapest first."""
    own = np.flatnonzero(free)
    sets = np.empty((len(own), classes), dtype=np.int64)
    for k in range(classes):
        others = own[targets[own] == k]
        sets[:, k] = others[distances[np.ix_(own, others)].argmin(axis=1)]
    sets[np.arange(len(own)), targets[own]] = own
    costs = distances[own[:, None], sets].max(axis=1)
    return list(sets[np.argsort(costs, kind="stable")])


def told_by_content(
    described: Array, targets: NDArray[np.int64], blocks: NDArray[np.int64]
) -> float:
    """Measure how well content alone tells the classes of images apart: a check of matching.

    Linear discriminant analysis with shrinkage (Ledoit and Wolf) on all blocks but one in ten,
    asked about these. At chance, one in so many classes, their content is distributed alike as far
    as means go.

    Args:
        described: Shape (n, d).
        targets: Shape (n,).
        blocks: Images that are never torn, such as the sets of `matched_sets`; shape (n,).
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import GroupKFold, cross_val_predict

    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    folds = GroupKFold(min(10, len(np.unique(blocks))))
    decided = cross_val_predict(model, described, targets, groups=blocks, cv=folds)
    return float((decided == targets).mean())


def _squared(described: Array) -> Array:
    centred = described - described.mean(axis=0)
    squares = (centred**2).sum(axis=1)
    return np.asarray(squares[:, None] + squares - 2.0 * centred @ centred.T)
