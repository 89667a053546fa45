"""From a matrix of similarities to numbers of each real image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Statistic = Literal["max", "mean", "sd", "top", "sigmoid", "chosen", "count"]
Baseline = Literal["max", "mean_sd"]

NEAREST = frozenset({"max", "top", "sigmoid", "chosen", "count"})
"""Statistics that depend on the most similar synthetic images alone."""

AMONG_ALL = frozenset({"chosen", "count"})
"""Statistics of an image that depend on the other real images."""

_NEVER_CHOSEN = 2.0


def statistic(matrix: NDArray[np.float32], name: Statistic, top: int = 5) -> Array:
    """Summarise the similarities of each real image to all synthetic ones.

    Args:
        matrix: Similarities of real (rows) to synthetic images, shape (n, m).
        name: `max`; `mean`; `sd`; `top`: mean of the `top` largest; `sigmoid`: of 7 (max - 0.5),
            a rule of taozi's; `chosen`: the largest similarity among the synthetic images of which
            this is the most similar real one, and 2 less than `max` where there is none (so it is
            below every other); `count`: how many synthetic images have it as their most similar
            one.
        top: Of `top`; at most m are taken.

    Returns:
        Shape (n,).

    Raises:
        UserError: There is no such statistic.
    """
    if name not in get_args(Statistic):
        raise UserError(f"method.statistics: {name!r}: choose {', '.join(get_args(Statistic))}")
    if name == "mean":
        return np.asarray(matrix.mean(axis=1, dtype=np.float64))
    if name == "sd":
        return np.asarray(matrix.std(axis=1, dtype=np.float64))
    if name == "top":
        k = min(top, matrix.shape[1])
        largest = np.partition(matrix, matrix.shape[1] - k, axis=1)[:, -k:]
        return np.asarray(largest.mean(axis=1, dtype=np.float64))
    best: Array = matrix.max(axis=1).astype(np.float64)
    if name == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-7 * (best - 0.5))))
    if name == "max":
        return best
    winner = matrix.argmax(axis=0)
    if name == "count":
        counts: Array = np.bincount(winner, minlength=len(matrix)).astype(np.float64)
        return counts
    chosen: Array = best - _NEVER_CHOSEN
    np.maximum.at(chosen, winner, matrix.max(axis=0).astype(np.float64))
    return chosen


def real_to_real(
    matrix: NDArray[np.float32], groups: NDArray[np.str_], baseline: Baseline
) -> float:
    """Find the similarity that two real images of different patients do not exceed.

    VCMI's thresholds (ImageCLEFmedical GANs 2023): the largest similarity of two real images, or
    the mean plus three standard deviations.

    Args:
        matrix: Similarities of real images to each other, shape (n, n).
        groups: Patient of each, shape (n,); pairs of one patient are left out.
        baseline: `max` or `mean_sd`.

    Raises:
        UserError: No pair is left, or there is no such baseline.
    """
    if baseline not in get_args(Baseline):
        raise UserError(f"method.baseline={baseline}: choose {', '.join(get_args(Baseline))}")
    values = matrix[groups[:, None] != groups[None]].astype(np.float64)
    if not len(values):
        raise UserError("data.root: method.baseline needs labelled images of two patients")
    return float(values.max() if baseline == "max" else values.mean() + 3 * values.std())
