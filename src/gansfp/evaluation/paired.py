"""Paired comparisons of two methods on the same images: which one is better, and is that chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gansfp.evaluation.bootstrap import RESAMPLES, Units, bootstrap
from gansfp.evaluation.intervals import (
    LEVEL,
    binomial_test,
    normal_quantile,
    placement_variance,
    placements,
)
from gansfp.evaluation.metrics import binary_rates
from gansfp.evaluation.permutation import PERMUTATIONS, p_value
from gansfp.evaluation.ranking import check_ranking

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Rates = Callable[[NDArray[np.float64]], dict[str, NDArray[np.float64]]]

CELLS = 4_000_000  # exchanges held at once: permutations x units


class Difference(NamedTuple):
    """First method minus second method.

    Attributes:
        value: Difference of the metric.
        low: Low end of its interval.
        high: High end.
        p: Two-sided p-value of no difference.
    """

    value: float
    low: float
    high: float
    p: float


def compare_membership(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    groups: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare the decisions of two methods by kappa and accuracy.

    Intervals come from a bootstrap that draws the same images (or patients) for both methods,
    p-values from exchanging the two methods' decisions on random images (or whole patients).

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        first: Decisions of the first method, the same coding, shape (n,).
        second: Decisions of the second method, shape (n,).
        groups: Patient of each image, shape (n,), or None.
        resamples: Number of bootstrap resamples.
        permutations: Number of exchanges.
        seed: Seed of both.

    Returns:
        Difference by metric, `kappa` and `accuracy`.
    """
    member = np.asarray(truth).ravel() == 1

    def cells(decision: ArrayLike) -> NDArray[np.float64]:
        called = np.asarray(decision).ravel() == 1
        return np.stack(
            [member & called, ~member & called, member & ~called, ~member & ~called], axis=1
        ).astype(np.float64)

    def rates(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found = binary_rates(*counts.T)
        return {name: found[name] for name in ("kappa", "accuracy")}

    units = Units.of(member, groups)
    return _compare(cells(first), cells(second), rates, units, resamples, permutations, seed)


def compare_accuracy(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    groups: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Difference:
    """Compare the decisions of two methods on any number of classes by accuracy.

    Arguments are those of `compare_membership`, with class names or positions for 1 and 0.
    """
    label = np.asarray(truth).ravel()

    def right(decision: ArrayLike) -> NDArray[np.float64]:
        return np.asarray(np.asarray(decision).ravel() == label, np.float64)[:, None]

    def rates(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"accuracy": np.asarray(counts[:, 0] / len(label))}

    units = Units.of(label, groups)
    found = _compare(right(first), right(second), rates, units, resamples, permutations, seed)
    return found["accuracy"]


def compare_auroc(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    groups: ArrayLike | None = None,
    level: float = LEVEL,
) -> Difference:
    """Compare the scores of two methods by the area under the ROC curve (DeLong et al. 1988).

    With groups the covariance is the clustered one (Obuchowski 1997).

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        first: Scores of the first method, higher means used, shape (n,).
        second: Scores of the second method, shape (n,).
        groups: Patient of each image, shape (n,), or None.
        level: Coverage of the interval.

    Returns:
        All NaN where a class is absent; p = 1 where the two rank every pair alike, NaN where they
        differ without any variance (perfect against constant, say).
    """
    positive, one = check_ranking(truth, first)
    other = check_ranking(truth, second)[1]
    if positive.all() or not positive.any():
        return Difference(*[float("nan")] * 4)
    from scipy.stats import norm

    component = placements(positive, one) - placements(positive, other)
    value = float(component[positive].mean())
    spread = float(np.sqrt(max(placement_variance(positive, component, groups), 0.0)))
    half = normal_quantile(level) * spread
    if spread < 1e-12:
        p = 1.0 if abs(value) < 1e-12 else float("nan")
    else:
        p = float(2.0 * norm.sf(abs(value) / spread))
    return Difference(value, value - half, value + half, p)


def mcnemar(truth: ArrayLike, first: ArrayLike, second: ArrayLike) -> float:
    """Test whether two methods are right equally often (McNemar 1947, exact binomial).

    Images count as independent: with several images a patient, take `compare_accuracy` with groups.

    Args:
        truth: Labels, shape (n,).
        first: Decisions of the first method, shape (n,).
        second: Decisions of the second method, shape (n,).

    Returns:
        Two-sided p-value; 1 where the methods are right on the same images.
    """
    label = np.asarray(truth).ravel()
    right, also = np.asarray(first).ravel() == label, np.asarray(second).ravel() == label
    gained, lost = int((right & ~also).sum()), int((~right & also).sum())
    return binomial_test(gained, gained + lost, 0.5)


def _compare(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    rates: Rates,
    units: Units,
    resamples: int,
    permutations: int,
    seed: int,
) -> dict[str, Difference]:
    """Bootstrap and permute a difference of rates of summed cells, each (n, c)."""

    def difference(
        one: NDArray[np.float64], other: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        left, right = rates(one), rates(other)
        return {name: left[name] - right[name] for name in left}

    intervals = bootstrap(
        lambda weights: difference(weights @ first, weights @ second), units, resamples, seed
    )
    moved = np.zeros((units.count, first.shape[1]))
    np.add.at(moved, units.of_image, second - first)
    total, other_total = first.sum(axis=0), second.sum(axis=0)
    rng = np.random.default_rng(seed)
    step = max(1, CELLS // units.count)
    chunks = []
    for start in range(0, permutations, step):
        size = min(step, permutations - start)
        change = rng.integers(0, 2, (size, units.count)).astype(np.float64) @ moved
        chunks.append(difference(total + change, other_total - change))
    return {
        name: Difference(
            *found,
            p=p_value(abs(found.value), np.abs(np.concatenate([part[name] for part in chunks]))),
        )
        for name, found in intervals.items()
    }
