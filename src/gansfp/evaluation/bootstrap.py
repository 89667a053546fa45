"""Stratified and group-blocked bootstraps, computed on weights without a loop over resamples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.evaluation.intervals import LEVEL, Interval, balanced_kappa
from gansfp.evaluation.metrics import FPR_LEVELS, binary_counts, binary_rates, multiclass_rates
from gansfp.evaluation.ranking import RankedSample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2_000
CELLS = 4_000_000  # weights held at once: resamples x images


@dataclass(frozen=True)
class Units:
    """What is resampled: images, or the groups (patients) that they belong to.

    Attributes:
        of_image: Unit of each image, 0..units-1, shape (n,).
        stratum: Stratum of each unit, shape (units,): units whose images carry one label are drawn
            among themselves, units of several labels form a stratum of their own.
    """

    of_image: NDArray[np.int64]
    stratum: NDArray[np.int64]

    @classmethod
    def of(cls, truth: ArrayLike, groups: ArrayLike | None = None) -> Units:
        """Lay the units out.

        Args:
            truth: Labels, shape (n,).
            groups: Group of each image, shape (n,); None: each image is its own.
        """
        labels = np.unique(np.asarray(truth), return_inverse=True)[1].ravel()
        if groups is None:
            return cls(np.arange(len(labels)), labels)
        of_image = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
        count = int(of_image.max()) + 1
        lowest = np.full(count, labels.max() + 1)
        highest = np.full(count, -1)
        np.minimum.at(lowest, of_image, labels)
        np.maximum.at(highest, of_image, labels)
        return cls(of_image, np.where(lowest == highest, lowest, labels.max() + 1))

    @property
    def count(self) -> int:
        """Number of units."""
        return len(self.stratum)

    def multiplicities(self, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw how often each unit occurs in each resample, shape (resamples, units)."""
        result = np.zeros((resamples, self.count))
        for stratum in np.unique(self.stratum):
            members = np.flatnonzero(self.stratum == stratum)
            drawn = rng.integers(len(members), size=(resamples, len(members)))
            flat = drawn + np.arange(resamples)[:, None] * len(members)
            counts = np.bincount(flat.ravel(), minlength=resamples * len(members))
            result[:, members] = counts.reshape(resamples, len(members))
        return result

    def weights(self, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
        """Yield image weights in chunks of resamples, each (b, n); b sums to `resamples`."""
        rng = np.random.default_rng(seed)
        chunk = max(1, CELLS // len(self.of_image))
        for start in range(0, resamples, chunk):
            drawn = self.multiplicities(min(chunk, resamples - start), rng)
            yield drawn.take(self.of_image, axis=1)


def percentile_interval(
    value: float, resampled: NDArray[np.float64], level: float = LEVEL
) -> Interval:
    """Percentile interval; resamples that lack a class (NaN) are left out."""
    finite = resampled[np.isfinite(resampled)]
    if not len(finite):
        return Interval(value, float("nan"), float("nan"))
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(finite, [tail, 1.0 - tail])
    return Interval(value, float(low), float(high))


def bootstrap(
    statistic: Callable[[NDArray[np.float64]], Mapping[str, NDArray[np.float64]]],
    units: Units,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Bootstrap statistics that are functions of image weights.

    Args:
        statistic: Maps weights (b, n) to named values (b,).
        units: What is drawn, and within which strata.
        resamples: Number of resamples.
        seed: Seed of the draw.
        level: Coverage of the percentile interval.

    Returns:
        Value on the sample itself (all weights 1) and interval, a name.
    """
    observed = statistic(np.ones((1, len(units.of_image))))
    chunks = [statistic(weights) for weights in units.weights(resamples, seed)]
    return {
        name: percentile_interval(
            float(value[0]), np.concatenate([chunk[name] for chunk in chunks]), level
        )
        for name, value in observed.items()
    }


def membership_intervals(
    truth: ArrayLike,
    decision: ArrayLike,
    score: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Bootstrap every membership metric at once; the cut of TPR at an FPR is re-picked each time.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        decision: The same coding, shape (n,).
        score: Higher means used, shape (n,), or None.
        groups: Patient of each image, shape (n,); None: images are drawn.
        resamples: Number of resamples.
        seed: Seed of the draw.
    """
    positive, called = np.asarray(truth).ravel() == 1, np.asarray(decision).ravel() == 1
    cells = np.stack(
        [positive & called, ~positive & called, positive & ~called, ~positive & ~called], axis=1
    ).astype(np.float64)
    ranked = None if score is None else RankedSample.of(truth, score)

    def statistic(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        values = binary_rates(*(weights @ cells).T)
        if ranked is not None:
            values |= ranked.measure(weights, FPR_LEVELS)
        return values

    return bootstrap(statistic, Units.of(truth, groups), resamples, seed)


def attribution_intervals(
    truth: NDArray[np.int64],
    decision: NDArray[np.int64],
    classes: int,
    groups: ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Bootstrap every attribution metric at once, in time that does not grow with the images.

    Without groups a resample stratified by true class is one multinomial draw a matrix row.

    Args:
        truth: Class positions, shape (n,).
        decision: Class positions, shape (n,).
        classes: Number of classes K.
        groups: Patient of each image, shape (n,); None: images are drawn.
        resamples: Number of resamples.
        seed: Seed of the draw.
    """
    cell = truth * classes + decision
    counts = np.bincount(cell, minlength=classes**2).reshape(classes, classes)
    if groups is None:
        drawn = _multinomial_rows(counts, resamples, np.random.default_rng(seed))
    else:
        units = Units.of(truth, groups)
        per_unit = np.zeros((units.count, classes**2))
        np.add.at(per_unit, (units.of_image, cell), 1.0)
        drawn = units.multiplicities(resamples, np.random.default_rng(seed)) @ per_unit
        drawn = drawn.reshape(resamples, classes, classes)
    observed, resampled = multiclass_rates(counts), multiclass_rates(drawn)
    return {
        name: percentile_interval(float(value), resampled[name]) for name, value in observed.items()
    }


def kappa_interval(truth: ArrayLike, decision: ArrayLike, level: float = LEVEL) -> Interval:
    """Interval of Cohen's kappa from the decisions alone: the `kappa_ci95` of a run file.

    Where truth is exactly balanced kappa is 2 accuracy - 1, so Wilson's interval of the accuracy is
    mapped. Otherwise a bootstrap stratified by truth (10,000 resamples, seed 0): drawing the images
    of one true class is a binomial draw of the hits among them.
    """
    counts = binary_counts(truth, decision)
    members, others = counts["tp"] + counts["fn"], counts["fp"] + counts["tn"]
    if members == others:
        return balanced_kappa(counts["tp"] + counts["tn"], members + others, level)
    rng, resamples = np.random.default_rng(0), 10_000
    tp = rng.binomial(members, counts["tp"] / members if members else 0.0, resamples)
    fp = rng.binomial(others, counts["fp"] / others if others else 0.0, resamples)
    resampled = binary_rates(tp, fp, members - tp, others - fp)["kappa"]
    return percentile_interval(float(binary_rates(**counts)["kappa"]), resampled, level)


def _multinomial_rows(
    counts: NDArray[Any], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw matrices with the row sums and row frequencies of `counts`, shape (B, K, K)."""
    support = counts.sum(axis=1)
    rows = [
        rng.multinomial(total, row / max(total, 1) if total else np.eye(len(row))[0], resamples)
        for row, total in zip(counts, support, strict=True)
    ]
    return np.stack(rows, axis=1).astype(np.float64)
