"""Decision rules: from scores to "used" or to a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from gansfp.errors import UserError
from gansfp.evaluation.metrics import binary_rates
from gansfp.tables import PROBABILITY_PREFIX, table_classes

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

SCORE = "score"
MISSING_CALIBRATION = (
    "the decision rule needs labelled images that the method was not fitted on, but every one it "
    "was given is in sample: hold a fold out (data.fold=0), or take decision=fixed or "
    "decision=median"
)


class DecisionRule(Protocol):
    """Turns scores into decisions.

    Attributes:
        needs_calibration: `fit` reads labelled images.
        transductive: A decision depends on the other unlabelled test images.
        threshold: The cut in use: used where `score >= threshold`. None before it is known, and
            for rules without one.
    """

    needs_calibration: bool
    transductive: bool
    threshold: float | None

    def fit(self, calibration: pd.DataFrame) -> Self:
        """Learn from labelled images.

        Args:
            calibration: Columns `score` (higher: used), `label` (1 used, 0 not used) and
                `in_sample` (the method was fitted on the image's label).
        """

    def decide(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the prediction table with the column `decision` added."""


class _Threshold:
    """Common part of the rules that cut a score."""

    needs_calibration = False
    transductive = False
    threshold: float | None = None

    def fit(self, calibration: pd.DataFrame) -> Self:
        """Learn nothing: the rule does not read labelled images."""
        return self

    def decide(self, table: pd.DataFrame) -> pd.DataFrame:
        """Decide "used" (1) where `score >= threshold`."""
        if self.threshold is None:
            raise UserError(MISSING_CALIBRATION)
        return table.assign(decision=(table[SCORE] >= self.threshold).astype(np.int64))


class BestKappa(_Threshold):
    """Cut at the best Cohen's kappa on the labelled images that the method was not fitted on."""

    needs_calibration = True

    def __init__(self, in_sample: bool = False) -> None:
        """Set the rule up.

        Args:
            in_sample: Also take images that the method was fitted on; their scores are too good,
                so the cut is biased.
        """
        self.in_sample = in_sample

    def fit(self, calibration: pd.DataFrame) -> Self:
        """Pick the cut; see `best_kappa_threshold`.

        Raises:
            UserError: No labelled image is left, or all left have one label.
        """
        kept = calibrating(calibration, self.in_sample)
        if kept["label"].nunique() < 2:
            raise UserError(
                f"all {len(kept)} labelled images for the decision rule have one label: use fewer "
                "folds (data.folds=2), or take decision=fixed or decision=median"
            )
        self.threshold = best_kappa_threshold(
            kept[SCORE].to_numpy(np.float64), kept["label"].to_numpy(np.int64)
        )
        return self


class FixedThreshold(_Threshold):
    """Cut where the configuration says, as the papers that print a threshold do."""

    def __init__(self, threshold: float) -> None:
        """Set the rule up.

        Args:
            threshold: Used where `score >= threshold`. The score has its sign set already: a
                distance is negated.
        """
        self.threshold = float(threshold)


class MeanPlusSd(_Threshold):
    """Cut at the mean plus `k` standard deviations of the labelled images' scores.

    Medhastra's rule (ImageCLEFmedical GANs 2025, run 1288). It reads scores, not labels.
    """

    needs_calibration = True

    def __init__(self, k: float = 0.0, in_sample: bool = False) -> None:
        """Set the rule up.

        Args:
            k: Standard deviations above the mean (of the population, not of a sample).
            in_sample: Also take images that the method was fitted on.
        """
        self.k, self.in_sample = float(k), in_sample

    def fit(self, calibration: pd.DataFrame) -> Self:
        """Take the moments of the scores.

        Raises:
            UserError: No labelled image is left.
        """
        score = calibrating(calibration, self.in_sample)[SCORE].to_numpy(np.float64)
        self.threshold = float(score.mean() + self.k * score.std())
        return self


class GridKappa(_Threshold):
    """Cut at the best Cohen's kappa among evenly spaced cuts, the lowest of equals.

    taozi's sweeps: 0.40 to 0.90 in 26 steps, or 0.50 to 0.90 in 21.
    """

    needs_calibration = True

    def __init__(
        self, low: float = 0.4, high: float = 0.9, steps: int = 26, in_sample: bool = False
    ) -> None:
        """Set the rule up.

        Args:
            low: First cut.
            high: Last cut.
            steps: Number of cuts.
            in_sample: Also take images that the method was fitted on.
        """
        if steps < 2 or not low < high:
            raise UserError(f"decision: {steps} cuts from {low} to {high}: nothing to choose from")
        self.cuts, self.in_sample = np.linspace(low, high, steps), in_sample

    def fit(self, calibration: pd.DataFrame) -> Self:
        """Try every cut.

        Raises:
            UserError: No labelled image is left.
        """
        kept = calibrating(calibration, self.in_sample)
        used = kept["label"].to_numpy() == 1
        called = kept[SCORE].to_numpy(np.float64)[:, None] >= self.cuts
        tp, fp = (called & used[:, None]).sum(0), (called & ~used[:, None]).sum(0)
        kappa = binary_rates(tp, fp, used.sum() - tp, (~used).sum() - fp)["kappa"]
        self.threshold = float(self.cuts[int(np.nanargmax(kappa))])
        return self


class MedianOfTest(_Threshold):
    """Cut at the median of the scores to decide: half are called used, whatever the truth."""

    transductive = True

    def decide(self, table: pd.DataFrame) -> pd.DataFrame:
        """Decide "used" (1) where `score` is at least the median of this table."""
        self.threshold = float(np.median(table[SCORE].to_numpy(np.float64)))
        return super().decide(table)


class ArgMax:
    """Take the class of the largest probability; ties go to the first class."""

    needs_calibration = False
    transductive = False
    threshold: float | None = None

    def fit(self, calibration: pd.DataFrame) -> Self:
        """Learn nothing: the rule does not read labelled images."""
        return self

    def decide(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add the class name as `decision`.

        Raises:
            UserError: The table has no probability column.
        """
        classes = table_classes(table)
        if not classes:
            raise UserError("decision=argmax needs p_<class> columns; a membership table has none")
        columns = [f"{PROBABILITY_PREFIX}{name}" for name in classes]
        best = table[columns].to_numpy(np.float64).argmax(axis=1)
        return table.assign(decision=np.asarray(classes, dtype=object)[best])


def calibrating(calibration: pd.DataFrame, in_sample: bool) -> pd.DataFrame:
    """Keep the labelled images that a rule may read.

    Args:
        calibration: As `DecisionRule.fit` takes it.
        in_sample: Also keep images that the method was fitted on.

    Raises:
        UserError: None is left.
    """
    kept = calibration
    if not in_sample and "in_sample" in calibration:
        kept = calibration[~calibration["in_sample"].astype(bool)]
    if not len(kept):
        raise UserError(MISSING_CALIBRATION)
    return kept


def best_kappa_threshold(score: NDArray[np.float64], label: NDArray[np.int64]) -> float:
    """Find the cut with the best Cohen's kappa.

    Candidates are the middles between neighbouring distinct scores, so both sides keep an image.
    Cuts of equal kappa: the one in the widest gap, then the lowest. Where all scores are equal, the
    cut is that score.

    Args:
        score: Higher means used, shape (n,).
        label: 1 = used, 0 = not used; shape (n,).
    """
    values, position = np.unique(score, return_inverse=True)
    if len(values) == 1:
        return float(values[0])
    members = np.bincount(position.ravel(), label == 1, len(values))
    others = np.bincount(position.ravel(), label != 1, len(values))
    fn, tn = np.cumsum(members)[:-1], np.cumsum(others)[:-1]
    kappa = binary_rates(members.sum() - fn, others.sum() - tn, fn, tn)["kappa"]
    gap = np.diff(values)
    best = np.flatnonzero(kappa >= kappa.max() - 1e-12)
    widest = best[np.argmax(gap[best])]
    return float(values[widest] + gap[widest] / 2.0)
