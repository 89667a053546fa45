"""Attribution of sets: several images that are known to come from one generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FLOOR = 1e-3
"""Smallest probability that counts: one image that a vote gave to others cannot veto a set."""


def pooled_accuracy(
    probabilities: Array,
    targets: NDArray[np.int64],
    sizes: Sequence[int],
    draws: int = 1000,
    seed: int = 0,
    floor: float = FLOOR,
) -> dict[int, float]:
    """Measure how often a set of n images of one class is attributed to it.

    The images of a set, drawn without replacement, add up their log probabilities: the joint
    likelihood of independent images where classes are equally frequent. Classes count the same.

    Args:
        probabilities: Of single images, shape (m, classes).
        targets: Class of each image, shape (m,).
        sizes: Images in a set; sizes beyond the smallest class are left out.
        draws: Sets a class.
        seed: Of the draws.
        floor: Smaller probabilities are raised to it.

    Returns:
        Accuracy for each size, the mean over classes. The draws of one class overlap: their number
        does not make an interval.
    """
    logs = np.log(np.maximum(probabilities, floor))
    present = np.unique(targets)
    smallest = min(int((targets == k).sum()) for k in present)
    result: dict[int, float] = {}
    for size in sizes:
        if size > smallest:
            continue
        rng = np.random.default_rng([seed, size])
        shares = []
        for k in present:
            rows = np.flatnonzero(targets == k)
            sets = [rng.choice(rows, size, replace=False) for _ in range(draws)]
            decided = logs[np.stack(sets)].sum(axis=1).argmax(axis=1)
            shares.append(float((decided == k).mean()))
        result[size] = float(np.mean(shares))
    return result
