"""Sets of test images of equal content, one image a class: what is left of an attribution there?

A method may tell subsets by what their images show, or by the generator's hand. Among images of
which content says the same, the first is of no use. What content says is a number for each subset:
how near, without fine detail, its nearest real image is. Matching by what predicts the group
instead of by all there is: Rosenbaum and Rubin, "The central role of the propensity score in
observational studies for causal effects", Biometrika 1983; here for several groups at once.
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


def content_evidence(asked: Array, known: Array, targets: NDArray[np.int64]) -> Array:
    """Say what content alone tells of each class: minus the log distance to its nearest real image.

    Args:
        asked: Content of test images, shape (n, d).
        known: Of real training images, shape (m, d).
        targets: Classes of these, 0, 1, ..., shape (m,).

    Returns:
        Less the mean over the classes, shape (n, classes). The largest is the decision of the
        nearest neighbour.
    """
    from scipy.spatial.distance import cdist

    distances = cdist(asked, known)
    nearest = [distances[:, targets == k].min(axis=1) for k in range(int(targets.max()) + 1)]
    logs = -np.log(np.maximum(np.stack(nearest, axis=1), 1e-9))
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def matched_sets(
    described: Array, targets: NDArray[np.int64], share: float = 0.5
) -> NDArray[np.int64]:
    """Choose sets of one image a class of which nearly the same is said.

    Each image and its nearest one of every other class make a candidate set, which costs the
    largest of these distances. Candidates are taken in the order of their costs where no image of
    theirs is taken yet; what is left over is matched again, until enough sets are found.

    Args:
        described: What is to be equal, such as `content_evidence`, shape (n, d).
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


def _squared(described: Array) -> Array:
    centred = described - described.mean(axis=0)
    squares = (centred**2).sum(axis=1)
    return np.asarray(squares[:, None] + squares - 2.0 * centred @ centred.T)
