"""Metrics, intervals and chance tests of one set of images, as one entry of `result.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.evaluation.bootstrap import (
    RESAMPLES,
    attribution_intervals,
    kappa_interval,
    membership_intervals,
)
from gansfp.evaluation.intervals import Interval, delong, wilson
from gansfp.evaluation.metrics import (
    attribution_metrics,
    binary_counts,
    encode,
)
from gansfp.evaluation.permutation import PERMUTATIONS, attribution_chance, membership_chance
from gansfp.evaluation.prevalence import predictive_values
from gansfp.evaluation.result import Measurement, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def measure_membership(
    truth: NDArray[np.int64],
    decision: NDArray[np.int64],
    score: NDArray[np.float64],
    groups: NDArray[Any] | None = None,
    bootstrap: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Measurement:
    """Measure membership decisions and scores.

    Intervals: kappa as `kappa_interval`, proportions Wilson, AUROC DeLong, the rest bootstrap; with
    groups AUROC clustered DeLong and the rest group bootstrap.

    Without groups there are predictive values too, `ppv_at_50`, `ppv_at_10` and `ppv_at_1`: the
    share of used images among those called used, were 50, 10 or 1 % of the candidates used. Their
    interval takes images for independent; with groups the measurement of the patients has them.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        decision: The same coding, shape (n,).
        score: Higher means used, shape (n,).
        groups: Patient of each image, shape (n,), or None.
        bootstrap: Number of resamples.
        permutations: Number of permutations.
        seed: Seed of both.
    """
    counts = binary_counts(truth, decision)
    metrics = membership_intervals(truth, decision, score, groups, bootstrap, seed)
    metrics["auroc"] = delong(truth, score, groups)
    if groups is None:
        metrics |= _closed_form(counts) | {"kappa": kappa_interval(truth, decision)}
        metrics |= _predictive(counts)
    chance = membership_chance(truth, decision, score, groups, permutations, seed)
    return _measurement(len(truth), metrics, chance, dict(counts))


def measure_attribution(
    truth: ArrayLike,
    decision: ArrayLike,
    classes: Sequence[str],
    groups: NDArray[Any] | None = None,
    bootstrap: int = RESAMPLES,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Measurement:
    """Measure attribution decisions.

    Intervals: accuracy Wilson, the rest a bootstrap stratified by class; with groups all of them
    group bootstrap.

    Args:
        truth: Class names, shape (n,).
        decision: Class names, shape (n,).
        classes: All classes, in order.
        groups: Patient of each image, shape (n,), or None.
        bootstrap: Number of resamples.
        permutations: Number of permutations.
        seed: Seed of both.
    """
    rows, columns = encode(truth, classes), encode(decision, classes)
    metrics = attribution_intervals(rows, columns, len(classes), groups, bootstrap, seed)
    if groups is None:
        metrics["accuracy"] = wilson(int((rows == columns).sum()), len(rows))
    p = attribution_chance(rows, columns, len(classes), groups, permutations, seed)
    confusion = attribution_metrics(truth, decision, classes)["confusion"]
    return _measurement(len(rows), metrics, {"accuracy": p}, confusion)


def pure_groups(
    truth: NDArray[Any], groups: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Find the groups whose images agree in truth.

    Args:
        truth: Labels, shape (n,).
        groups: Group of each image, shape (n,).

    Returns:
        The label of each such group, shape (g,), and the group number of each image, -1 for images
        of other groups, shape (n,).
    """
    labels, codes = np.unique(truth, return_inverse=True)
    _, group_codes = np.unique(groups, return_inverse=True)
    count = int(group_codes.max()) + 1
    present = np.zeros((count, len(labels)), dtype=bool)
    present[group_codes, codes] = True
    is_pure = present.sum(axis=1) == 1
    number = np.where(is_pure, np.cumsum(is_pure) - 1, -1)
    return labels[present[is_pure].argmax(axis=1)], number[group_codes]


def mean_by_group(values: NDArray[np.float64], number: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average values (n, ...) over groups 0..g-1, shape (g, ...); number -1 is left out."""
    kept = number >= 0
    count = int(number.max()) + 1
    total = np.zeros((count, *values.shape[1:]))
    np.add.at(total, number[kept], values[kept])
    sizes = np.bincount(number[kept], minlength=count)
    return total / sizes.reshape(-1, *(1 for _ in values.shape[1:]))


def _closed_form(counts: dict[str, int]) -> dict[str, Interval]:
    tp, fp, fn, tn = counts["tp"], counts["fp"], counts["fn"], counts["tn"]
    return {
        "accuracy": wilson(tp + tn, tp + fp + fn + tn),
        "precision": wilson(tp, tp + fp),
        "recall": wilson(tp, tp + fn),
        "specificity": wilson(tn, tn + fp),
    }


def _predictive(counts: dict[str, int]) -> dict[str, Interval]:
    if not counts["tp"] + counts["fn"] or not counts["fp"] + counts["tn"]:
        return {}
    return {
        f"ppv_at_{100 * share:.0f}": value for share, value in predictive_values(counts).items()
    }


def _measurement(
    n: int, metrics: dict[str, Interval], chance: dict[str, float], confusion: dict[str, Any]
) -> Measurement:
    return Measurement(
        n=n,
        metrics={name: plain(list(interval)) for name, interval in metrics.items()},
        chance=plain(chance),
        confusion=plain(confusion),
    )
