"""What the tables of a finished run show once the truth is known: curves, bands, reliability.

The report draws what this module computes; it never reads the truth itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gansfp.errors import UserError
from gansfp.evaluation.family import truth_path
from gansfp.evaluation.intervals import wilson
from gansfp.evaluation.metrics import binary_rates
from gansfp.evaluation.permutation import Blocks
from gansfp.evaluation.ranking import RankedSample, midranks
from gansfp.evaluation.truth import read_truth
from gansfp.runtime.run import Run
from gansfp.tables import PROBABILITY_PREFIX, read_table, table_classes

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

BAND_PERMUTATIONS = 1000
BINS = 10
"""Bins of a reliability diagram, of equal width."""


@dataclass(frozen=True)
class Evidence:
    """The tables of a run and the truth of its test images.

    Attributes:
        task: "membership" or "attribution".
        test: Prediction table of the test images.
        truth: 1/0 or class names, a row of `test` each; None where no truth is at hand.
        validation: Prediction table of labelled images, with `label`; None where there is none.
        groups: Patient of each test image; None where unknown.
    """

    task: Literal["membership", "attribution"]
    test: pd.DataFrame
    truth: NDArray[Any] | None
    validation: pd.DataFrame | None
    groups: NDArray[np.str_] | None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of an attribution table."""
        return table_classes(self.test)

    def score(self) -> NDArray[np.float64]:
        """Membership scores, higher for used, shape (n,)."""
        return self.test["score"].to_numpy(np.float64)

    def probabilities(self) -> NDArray[np.float64]:
        """Class probabilities, shape (n, classes)."""
        columns = [f"{PROBABILITY_PREFIX}{name}" for name in self.classes]
        return self.test[columns].to_numpy(np.float64)


def read_evidence(folder: Path) -> Evidence | None:
    """Read the tables of a run folder, and the truth where the configuration says it lies.

    Returns:
        None where the run has no readable test table. `truth` is None where there is none, or where
        it does not fit the table.
    """
    run = Run(folder)
    try:
        test = read_table(run.predictions("test"))
    except UserError:
        return None
    task: Literal["membership", "attribution"] = "membership" if "score" in test else "attribution"
    if not {"sample_id", "group", "decision"} <= set(test.columns) or not len(test):
        return None
    names, groups = (test[column].to_numpy().astype(str) for column in ("sample_id", "group"))
    return Evidence(
        task,
        test,
        _truth(run, task, names),
        _validation(run),
        groups if (groups != names).any() else None,
    )


def _validation(run: Run) -> pd.DataFrame | None:
    try:
        table = read_table(run.predictions("validation"))
    except UserError:
        return None
    return table if len(table) and "label" in table else None


def _truth(run: Run, task: str, names: NDArray[np.str_]) -> NDArray[Any] | None:
    try:
        path = truth_path(run)
        labels = read_truth(path, task).of(names) if path is not None else None
    except (UserError, OSError):
        return None
    if labels is None:
        return None
    if task == "membership":
        return np.array(labels).astype(np.int64)
    return np.array(labels, dtype=object)


def roc_curve(truth: ArrayLike, score: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    """Compute the ROC curve over all cuts `score >= t`, from (0, 0) to (1, 1).

    Args:
        truth: 1 = used, 0 = not used; both occur; shape (n,).
        score: Higher means used, shape (n,).

    Returns:
        False- and true-positive rates, rising, one point a distinct score and one before them.
    """
    sample = RankedSample.of(truth, score)
    values = np.asarray(score, np.float64).ravel()
    order = np.concatenate([sample.members, sample.others])
    order = order[np.argsort(-values[order], kind="stable")]
    positive = np.asarray(truth).ravel()[order] == 1
    last_of_tie = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)
    tp = np.append(0, np.cumsum(positive)[last_of_tie]) / len(sample.members)
    fp = np.append(0, np.cumsum(~positive)[last_of_tie]) / len(sample.others)
    return fp, tp


def chance_band(
    evidence: Evidence, level: float = 0.95, permutations: int = BAND_PERMUTATIONS, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Compute where a metric lies if truth and predictions have nothing to do with each other.

    The truth is permuted as in the chance tests: patients whole.

    Args:
        evidence: With truth.
        level: Share of the permutations inside the band.
        permutations: How many.
        seed: Of the permutations.

    Returns:
        Low and high end of `kappa` and `auroc`, or of `accuracy`.
    """
    if evidence.truth is None:
        return {}
    if evidence.task == "attribution":
        names, codes = np.unique(
            np.concatenate([evidence.truth, evidence.test["decision"].to_numpy()]).astype(str),
            return_inverse=True,
        )
        labels, decided = codes[: len(evidence.truth)], codes[len(evidence.truth) :]
        blocks = Blocks.of(labels, evidence.groups)
        hits = [(drawn == decided).mean(axis=1) for drawn in blocks.permuted(permutations, seed)]
        return {"accuracy": _ends(np.concatenate(hits), level)} if len(names) else {}
    if len(set(evidence.truth.tolist())) < 2:
        return {}
    called = evidence.test["decision"].to_numpy(np.float64)
    ranks = midranks(evidence.score())
    kappas, areas = [], []
    for drawn in Blocks.of(evidence.truth, evidence.groups).permuted(permutations, seed):
        members = drawn.astype(np.float64)
        m = members.sum(axis=1)
        n = members.shape[1] - m
        tp = members @ called
        fp = called.sum() - tp
        kappas.append(binary_rates(tp, fp, m - tp, n - fp)["kappa"])
        areas.append((members @ ranks - m * (m + 1) / 2) / (m * n))
    return {
        "kappa": _ends(np.nan_to_num(np.concatenate(kappas)), level),
        "auroc": _ends(np.concatenate(areas), level),
    }


def _ends(values: NDArray[np.float64], level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True)
class Reliability:
    """How often a decision is right that is called probable.

    Attributes:
        claimed: Mean probability of each bin that holds images, shape (b,).
        observed: Share that is so, shape (b,).
        low: Low end of its Wilson interval, shape (b,).
        high: High end, shape (b,).
        n: Images in the bin, shape (b,).
        error: Expected calibration error: mean distance of claimed and observed, by image.
    """

    claimed: list[float]
    observed: list[float]
    low: list[float]
    high: list[float]
    n: list[int]
    error: float


def reliability(evidence: Evidence, bins: int = BINS) -> Reliability | None:
    """Compare the probabilities of a run with what is true (Guo et al. 2017).

    Attribution: the largest class probability, against whether that class is right. Membership
    scores are no probabilities: a logistic curve is fitted to the labelled images (Platt 1999) that
    the method was not fitted on, and held against the test images.

    Returns:
        None where there is no truth, or no labelled image that could calibrate a score.
    """
    if evidence.truth is None:
        return None
    if evidence.task == "attribution":
        probability = evidence.probabilities()
        best = np.asarray(evidence.classes, dtype=object)[probability.argmax(axis=1)]
        return binned(probability.max(axis=1), best == evidence.truth, bins)
    probability_of_used = _platt(evidence)
    if probability_of_used is None:
        return None
    return binned(probability_of_used, evidence.truth == 1, bins)


def binned(probability: ArrayLike, outcome: ArrayLike, bins: int = BINS) -> Reliability:
    """Sort images into bins of equal width; bins without images are left out.

    Args:
        probability: Between 0 and 1, shape (n,).
        outcome: Whether it is so, shape (n,).
        bins: Number of bins.
    """
    p, hit = np.asarray(probability, np.float64), np.asarray(outcome, bool)
    where = np.minimum((p * bins).astype(np.int64), bins - 1)
    held = np.unique(where)
    claimed = [float(p[where == k].mean()) for k in held]
    intervals = [wilson(int(hit[where == k].sum()), int((where == k).sum())) for k in held]
    n = [int((where == k).sum()) for k in held]
    observed = [float(hit[where == k].mean()) for k in held]
    apart = np.abs(np.array(claimed) - observed)
    return Reliability(
        claimed,
        observed,
        [interval.low for interval in intervals],
        [interval.high for interval in intervals],
        n,
        float(np.average(apart, weights=n)),
    )


def _platt(evidence: Evidence) -> NDArray[np.float64] | None:
    known = evidence.validation
    if known is None or "score" not in known or known.get("in_sample", np.zeros(1)).any():
        return None
    labels, score = known["label"].to_numpy(np.int64), known["score"].to_numpy(np.float64)
    if len(set(labels.tolist())) < 2 or score.std() == 0:
        return None
    from sklearn.linear_model import LogisticRegression

    centre, spread = score.mean(), score.std()
    curve = LogisticRegression(C=np.inf).fit((score[:, None] - centre) / spread, labels)
    return np.asarray(curve.predict_proba((evidence.score()[:, None] - centre) / spread)[:, 1])
