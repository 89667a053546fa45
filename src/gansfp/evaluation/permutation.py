"""Permutation tests of "no better or worse than chance", with patients kept whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansfp.evaluation.metrics import binary_rates
from gansfp.evaluation.ranking import check_ranking, midranks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

PERMUTATIONS = 10_000
CELLS = 4_000_000  # labels held at once: permutations x images


def p_value(observed: float, permuted: NDArray[np.float64]) -> float:
    """Return (1 + #{permuted >= observed}) / (1 + B), ties counted up to rounding."""
    reached = int((permuted >= observed - 1e-12 * max(1.0, abs(observed))).sum())
    return (1 + reached) / (1 + len(permuted))


@dataclass(frozen=True)
class Blocks:
    """How labels may be exchanged under the null hypothesis.

    Groups of one label exchange labels among each other, whole; in a group of several labels the
    images exchange labels within the group. Without groups every image is a group.

    Attributes:
        labels: Label of each image, shape (n,).
        pure: Images of pure groups, shape (m,).
        group_of: Pure group of each image of `pure`, shape (m,).
        group_labels: Label of each pure group, shape (g,).
        mixed: The images of each group of several labels.
    """

    labels: NDArray[np.int64]
    pure: NDArray[np.int64]
    group_of: NDArray[np.int64]
    group_labels: NDArray[np.int64]
    mixed: tuple[NDArray[np.int64], ...]

    @classmethod
    def of(cls, labels: ArrayLike, groups: ArrayLike | None = None) -> Blocks:
        """Lay the blocks out; labels are integers, shape (n,), groups any values, shape (n,)."""
        values = np.asarray(labels, np.int64).ravel()
        rows = np.arange(len(values))
        if groups is None:
            return cls(values, rows, rows, values, ())
        codes = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
        lowest = np.full(codes.max() + 1, np.iinfo(np.int64).max)
        highest = np.full(codes.max() + 1, np.iinfo(np.int64).min)
        np.minimum.at(lowest, codes, values)
        np.maximum.at(highest, codes, values)
        is_pure = lowest == highest
        renumbered = np.cumsum(is_pure) - 1
        pure = np.flatnonzero(is_pure[codes])
        mixed = tuple(np.flatnonzero(codes == code) for code in np.flatnonzero(~is_pure))
        return cls(values, pure, renumbered[codes[pure]], lowest[is_pure], mixed)

    def permuted(self, permutations: int, seed: int) -> Iterator[NDArray[np.int64]]:
        """Yield permuted labels in chunks, each (b, n); b sums to `permutations`."""
        rng = np.random.default_rng(seed)
        chunk = max(1, CELLS // len(self.labels))
        for start in range(0, permutations, chunk):
            size = min(chunk, permutations - start)
            result = np.tile(self.labels, (size, 1))
            shuffled = rng.permuted(np.tile(self.group_labels, (size, 1)), axis=1)
            result[:, self.pure] = shuffled[:, self.group_of]
            for rows in self.mixed:
                result[:, rows] = rng.permuted(result[:, rows], axis=1)
            yield result


def membership_chance(
    truth: ArrayLike,
    decision: ArrayLike,
    score: ArrayLike,
    groups: ArrayLike | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> dict[str, float]:
    """Test kappa and the area under the ROC curve against chance, two-sided.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        decision: The same coding, shape (n,).
        score: Higher means used, shape (n,).
        groups: Patient of each image, shape (n,), or None.
        permutations: Number of label permutations.
        seed: Seed of the permutations.

    Returns:
        p-values `kappa` (of |kappa|) and `auroc` (of |AUC - 1/2|, from the same permutations).
    """
    positive, values = check_ranking(truth, score)
    called, ranks = (np.asarray(decision).ravel() == 1).astype(np.float64), midranks(values)

    def statistics(labels: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        members = labels.astype(np.float64)
        m = members.sum(axis=1)
        n = members.shape[1] - m
        tp = members @ called
        fp = called.sum() - tp
        with np.errstate(invalid="ignore", divide="ignore"):
            area = (members @ ranks - m * (m + 1) / 2.0) / (m * n)
        kappa = binary_rates(tp, fp, m - tp, n - fp)["kappa"]
        return np.abs(kappa), np.abs(np.nan_to_num(area, nan=0.5) - 0.5)

    observed = statistics(positive[None].astype(np.int64))
    blocks = Blocks.of(positive, groups)
    chunks = [statistics(labels) for labels in blocks.permuted(permutations, seed)]
    return {
        name: p_value(float(seen[0]), np.concatenate([chunk[k] for chunk in chunks]))
        for k, (name, seen) in enumerate(zip(("kappa", "auroc"), observed, strict=True))
    }


def attribution_chance(
    truth: NDArray[np.int64],
    decision: NDArray[np.int64],
    classes: int,
    groups: ArrayLike | None = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> float:
    """Test the accuracy against decisions that are independent of the truth, one-sided.

    Without groups, permuting labels is drawing a contingency table of the same margins (Patefield
    1981), in time that does not grow with the images.

    Args:
        truth: Class positions, shape (n,).
        decision: Class positions, shape (n,).
        classes: Number of classes K.
        groups: Patient of each image, shape (n,), or None.
        permutations: Number of permutations.
        seed: Seed of the permutations.
    """
    hits = float((truth == decision).sum())
    if groups is not None:
        blocks = Blocks.of(truth, groups)
        chunks = [
            (labels == decision).sum(axis=1) for labels in blocks.permuted(permutations, seed)
        ]
        return p_value(hits, np.concatenate(chunks).astype(np.float64))
    from scipy.stats import random_table

    rows, columns = (np.bincount(codes, minlength=classes) for codes in (truth, decision))
    tables = random_table(rows, columns, seed=seed).rvs(permutations, method="patefield")
    return p_value(hits, np.trace(tables, axis1=1, axis2=2))
