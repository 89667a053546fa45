"""Corrections for many methods on one benchmark: max-T permutation, Holm, Benjamini-Hochberg."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gansfp.evaluation.metrics import binary_rates
from gansfp.evaluation.permutation import PERMUTATIONS, Blocks
from gansfp.evaluation.ranking import check_ranking, midranks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Statistic = Callable[[NDArray[np.int64]], NDArray[np.float64]]


class Corrected(NamedTuple):
    """p-values of k methods, each of shape (k,).

    Attributes:
        p: Of each method alone.
        adjusted: Corrected for all of them, at least `p`.
    """

    p: NDArray[np.float64]
    adjusted: NDArray[np.float64]


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values for the family-wise error rate under any dependence (Holm 1979).

    Args:
        p_values: Shape (k,).

    Returns:
        Adjusted p-values in the order given, shape (k,).
    """
    p = np.asarray(p_values, np.float64).ravel()
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    return np.minimum(adjusted, 1.0)


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjust p-values for the false discovery rate (Benjamini and Hochberg 1995).

    Calling what has an adjusted value of at most q keeps the rate at q, where the p-values are
    independent or positively dependent on the true nulls (Benjamini and Yekutieli 2001).

    Args:
        p_values: Shape (k,).

    Returns:
        Adjusted p-values in the order given, shape (k,).
    """
    p = np.asarray(p_values, np.float64).ravel()
    order = np.argsort(p, kind="stable")[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(p[order] * len(p) / np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0)


def kappa_max_t(
    truth: ArrayLike,
    decisions: ArrayLike,
    groups: ArrayLike | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    *,
    studentised: bool = True,
) -> Corrected:
    """Test the kappa of several methods on the same images against chance, two-sided.

    `p` equals that of `membership_chance` with the same permutations and seed.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        decisions: The same coding, one row a method, shape (k, n).
        groups: Patient of each image, shape (n,), or None.
        permutations: Number of label permutations, shared by the methods.
        seed: Seed of the permutations.
        studentised: See `max_t`.
    """
    labels = (np.asarray(truth).ravel() == 1).astype(np.int64)
    called = (_rows(decisions, len(labels)) == 1).astype(np.float64)

    def statistic(permuted: NDArray[np.int64]) -> NDArray[np.float64]:
        members = permuted.sum(axis=1, keepdims=True)
        tp = permuted.astype(np.float64) @ called.T
        fp = called.sum(axis=1) - tp
        kappa = binary_rates(tp, fp, members - tp, len(labels) - members - fp)["kappa"]
        return np.asarray(np.abs(kappa))

    return max_t(statistic, Blocks.of(labels, groups), permutations, seed, studentised=studentised)


def auroc_max_t(
    truth: ArrayLike,
    scores: ArrayLike,
    groups: ArrayLike | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    *,
    studentised: bool = True,
) -> Corrected:
    """Test the area under the ROC curve of several methods against 1/2, two-sided.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        scores: Higher means used; one row a method, shape (k, n).
        groups: Patient of each image, shape (n,), or None.
        permutations: Number of label permutations, shared by the methods.
        seed: Seed of the permutations.
        studentised: See `max_t`.
    """
    labels = (np.asarray(truth).ravel() == 1).astype(np.int64)
    rows = _rows(scores, len(labels)).astype(np.float64)
    ranks = np.stack([midranks(check_ranking(labels, row)[1]) for row in rows])

    def statistic(permuted: NDArray[np.int64]) -> NDArray[np.float64]:
        members = permuted.sum(axis=1, keepdims=True)
        others = len(labels) - members
        with np.errstate(invalid="ignore", divide="ignore"):
            area = (permuted.astype(np.float64) @ ranks.T - members * (members + 1) / 2.0) / (
                members * others
            )
        return np.asarray(np.abs(np.nan_to_num(area, nan=0.5) - 0.5))

    return max_t(statistic, Blocks.of(labels, groups), permutations, seed, studentised=studentised)


def accuracy_max_t(
    truth: NDArray[np.int64],
    decisions: ArrayLike,
    classes: int,
    groups: ArrayLike | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    *,
    studentised: bool = True,
) -> Corrected:
    """Test the accuracy of several attributions against decisions independent of the truth.

    One-sided, as `attribution_chance`. The mean under permutation is subtracted, so that a method
    that calls one class too often has no head start.

    Args:
        truth: Class positions, shape (n,).
        decisions: Class positions, one row a method, shape (k, n).
        classes: Number of classes.
        groups: Patient of each image, shape (n,), or None.
        permutations: Number of label permutations, shared by the methods.
        seed: Seed of the permutations.
        studentised: See `max_t`.
    """
    rows = _rows(decisions, len(truth))
    called = [(rows == code).astype(np.float64).T for code in range(classes)]

    def statistic(permuted: NDArray[np.int64]) -> NDArray[np.float64]:
        hits = [(permuted == code).astype(np.float64) @ called[code] for code in range(classes)]
        return np.asarray(np.sum(hits, axis=0) / len(truth))

    blocks = Blocks.of(truth, groups)
    return max_t(statistic, blocks, permutations, seed, studentised=studentised, centred=True)


def max_t(
    statistic: Statistic,
    blocks: Blocks,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    *,
    studentised: bool = True,
    centred: bool = False,
) -> Corrected:
    """Correct for the best of several methods by the step-down max-T procedure.

    Every permutation of the truth is applied to all methods at once, so that methods which decide
    alike cost little, other than under Bonferroni or Holm (Westfall and Young 1993, algorithm 4.1;
    Ge, Dudoit and Speed 2003). The family-wise error rate holds whichever of the methods leak,
    where those that do not are, together, independent of the truth.

    Args:
        statistic: Maps labels (b, n) to one value a method, (b, k); larger is further from chance.
        blocks: How labels may be exchanged.
        permutations: Number of permutations B.
        seed: Seed of the permutations.
        studentised: Divide by each method's root mean square over the permutations and the truth:
            a method that calls few images has a narrow null, and would never be the largest.
        centred: Subtract each method's mean over the permutations and the truth first.

    Returns:
        p-values (1 + #{permuted >= observed}) / (1 + B), and step-down adjusted ones. A method
        whose statistic never changes has 1.
    """
    drawn = [statistic(labels) for labels in blocks.permuted(permutations, seed)]
    # The observed row takes part in centre and scale: rows stay exchangeable, p-values exact.
    values = np.concatenate([statistic(blocks.labels[None]), *drawn])
    if centred:
        values = values - values.mean(axis=0)
    if studentised:
        scale = np.sqrt((values**2).mean(axis=0))
        values = np.divide(values, scale, out=np.zeros_like(values), where=scale > 1e-12)
    order = np.argsort(-values[0], kind="stable")
    largest = np.maximum.accumulate(values[:, order[::-1]], axis=1)[:, ::-1]
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(_reached(largest, values[0, order]))
    return Corrected(_reached(values, values[0]), adjusted)


def _reached(values: NDArray[np.float64], observed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the rows, the observed one among them, that reach it; ties up to rounding."""
    reached = values >= observed - 1e-12 * np.maximum(1.0, np.abs(observed))
    return np.asarray(reached.mean(axis=0))


def _rows(values: ArrayLike | Sequence[ArrayLike], n: int) -> NDArray[np.float64]:
    rows = np.asarray(values)
    if rows.ndim != 2 or rows.shape[1] != n or not len(rows):
        raise ValueError(f"expected one row of {n} images a method, got shape {rows.shape}")
    return rows
