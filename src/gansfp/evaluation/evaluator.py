"""Evaluators: from prediction tables and truth to `result.json`; test truth is read here only."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gansfp.errors import UserError
from gansfp.evaluation.bootstrap import RESAMPLES, kappa_interval
from gansfp.evaluation.metrics import attribution_metrics, membership_metrics
from gansfp.evaluation.permutation import PERMUTATIONS
from gansfp.evaluation.result import OFFICIAL, Measurement, Result
from gansfp.evaluation.submission import read_run_file
from gansfp.evaluation.truth import read_truth

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.evaluation.result import Control
    from gansfp.runtime.run import Run

TRUTH_FILE = "labels.csv"
NO_TRUTH = f"no test/{TRUTH_FILE} and no truth=PATH: metrics on the held-out labelled images only"


def score_run_file(task: str, truth_path: Path, submission_path: Path) -> dict[str, Any]:
    """Compute the official metrics of a run file.

    Args:
        task: "membership" or "attribution".
        truth_path: Truth file.
        submission_path: Run file; its ids match those of the truth with or without folder and
            extension.

    Returns:
        Membership: `n tp fp fn tn kappa accuracy precision recall f1 specificity kappa_ci95`.
        Attribution: `n accuracy`, weighted `precision recall f1 specificity`, the same four with
        `_macro`, `confusion`.

    Raises:
        UserError: A file is missing or breaks a rule.
    """
    truth = read_truth(truth_path, task)
    decided = read_run_file(submission_path, task, truth.names, truth.classes)
    if task == "attribution":
        return attribution_metrics(truth.labels, decided, truth.classes)
    labels, decisions = np.array(truth.labels).astype(int), np.array(decided).astype(int)
    _, low, high = kappa_interval(labels, decisions)
    return {**membership_metrics(labels, decisions), "kappa_ci95": [low, high]}


@dataclass(frozen=True)
class _Case:
    """Images with predictions, and what is known of them.

    Attributes:
        table: Prediction table, n rows.
        truth: 1/0 or class names, shape (n,).
        benchmark: Where the images come from.
        seed: Of resamples, permutations and splits.
    """

    table: pd.DataFrame
    truth: NDArray[Any]
    benchmark: Benchmark
    seed: int

    @property
    def groups(self) -> NDArray[np.str_] | None:
        """Patient of each image, shape (n,), or None where the table knows none."""
        return _groups(self.table)

    def values(self, column: str, kind: type[np.generic] | None = None) -> NDArray[Any]:
        """Return a column of the table, shape (n,)."""
        values: NDArray[Any] = self.table[column].to_numpy(kind)
        return values


class _Evaluator(ABC):
    """Common part: finds the truth, lays the result out.

    Args:
        bootstrap: Number of resamples of an interval.
        permutations: Number of permutations of a chance test.
        controls: "cheap" runs the controls of `gansfp.evaluation.controls`, "none" runs none.
        strata: Membership: a table of `file` and further columns of numbers, such as the burden of
            lesions; the area under the ROC curve is measured in strata of each.
    """

    task: Literal["membership", "attribution"]

    def __init__(
        self,
        bootstrap: int = RESAMPLES,
        permutations: int = PERMUTATIONS,
        controls: Literal["cheap", "none"] = "cheap",
        strata: str | Path | None = None,
    ) -> None:
        if controls not in ("cheap", "none"):
            raise UserError(f"evaluator.controls={controls}: expected cheap or none")
        if min(bootstrap, permutations) < 1:
            raise UserError("evaluator.bootstrap and evaluator.permutations must be at least 1")
        self.bootstrap = bootstrap
        self.permutations = permutations
        self.controls = controls
        self.strata = None if strata is None else Path(strata).expanduser()

    def evaluate_run(
        self, run: Run, data: BenchmarkDataModule, truth_path: Path | None, seed: int = 0
    ) -> Result:
        """Evaluate the tables of a run folder; arguments as `evaluate`."""
        from gansfp.runtime.scoring import Verdict
        from gansfp.tables import read_table

        stored = run.predictions("validation")
        verdict = Verdict.read(run)
        return self.evaluate(
            read_table(run.predictions("test")),
            data.benchmark,
            truth_path,
            read_table(stored) if stored.is_file() else None,
            seed,
            threshold=verdict.threshold,
            orientation=verdict.orientation,
            transductive=verdict.transductive,
        )

    def evaluate(
        self,
        table: pd.DataFrame,
        benchmark: Benchmark,
        truth_path: Path | None = None,
        validation: pd.DataFrame | None = None,
        seed: int = 0,
        *,
        threshold: float | None = None,
        orientation: str = "",
        transductive: bool = False,
    ) -> Result:
        """Evaluate predictions.

        Args:
            table: Prediction table of the test images.
            benchmark: Where they come from.
            truth_path: Truth file; None: `test/labels.csv` of the benchmark where it exists.
            validation: Prediction table of labelled images with the column `label` (membership:
                1/0, attribution: class) and perhaps `in_sample`.
            seed: Seed of resamples, permutations and splits.
            threshold: Cut of the decision rule.
            orientation: How the sign of the score was fixed.
            transductive: A test decision depends on other unlabelled test images.

        Raises:
            UserError: The truth does not fit the test images.
        """
        from gansfp.evaluation.controls import invalid_reason

        truth = self._truth(table, benchmark, truth_path)
        case = None if truth is None else _Case(table, truth, benchmark, seed)
        controls: dict[str, Control] = {}
        if self.controls == "cheap" and case is not None:
            controls = self._controls(case)
        elif self.controls == "cheap":
            controls = self._controls_without_truth(benchmark, seed)
        reason = invalid_reason(controls)
        result = Result(
            task=self.task,
            official=OFFICIAL[self.task],
            unit="patient" if _groups(table) is not None else "image",
            test=None if case is None else self._measure(case),
            patients=None if case is None else self._patients(case, threshold),
            validation=self._validation(validation, benchmark, seed),
            controls=controls,
            valid=None if not controls else reason is None,
            invalid_reason=reason,
            transductive=transductive,
            threshold=threshold,
            orientation=orientation,
            note=NO_TRUTH if truth is None else "",
            seed=seed,
        )
        strata = {} if case is None else self._strata(case)
        if strata:
            result["strata"] = strata
        return result

    def _truth(
        self, table: pd.DataFrame, benchmark: Benchmark, path: Path | None
    ) -> NDArray[Any] | None:
        """Read the labels of a table's images: 1/0 or class names, shape (n,)."""
        path = path or _labels_beside(benchmark)
        if path is None:
            return None
        labels = read_truth(path, self.task, benchmark.classes).of(table["sample_id"])
        if self.task == "membership":
            return np.array(labels).astype(np.int64)
        return np.array(labels, dtype=object)

    def _validation(
        self, validation: pd.DataFrame | None, benchmark: Benchmark, seed: int
    ) -> Measurement | None:
        if validation is None or not len(validation) or "decision" not in validation:
            return None
        measured = self._measure(_Case(validation, validation["label"].to_numpy(), benchmark, seed))
        if "in_sample" in validation:
            measured["in_sample"] = bool(validation["in_sample"].any())
        return measured

    @abstractmethod
    def _measure(self, case: _Case) -> Measurement:
        """Measure images by their decisions and scores."""

    @abstractmethod
    def _patients(self, case: _Case, threshold: float | None) -> Measurement | None:
        """Measure patients; None where none has several images."""

    @abstractmethod
    def _controls(self, case: _Case) -> dict[str, Control]:
        """Run the controls on the test images."""

    def _controls_without_truth(self, benchmark: Benchmark, seed: int) -> dict[str, Control]:
        """Run the controls that need no truth of the test images."""
        return {}

    def _strata(self, case: _Case) -> dict[str, list[Any]]:
        """Measure the test images in strata, by what they are ordered by."""
        return {}


class MembershipEvaluator(_Evaluator):
    """Evaluates membership tables; see `_Evaluator` for the arguments."""

    task = "membership"

    def _measure(self, case: _Case) -> Measurement:
        from gansfp.evaluation.measure import measure_membership

        return measure_membership(
            case.truth.astype(np.int64),
            case.values("decision", np.int64),
            case.values("score", np.float64),
            case.groups,
            self.bootstrap,
            self.permutations,
            case.seed,
        )

    def _patients(self, case: _Case, threshold: float | None) -> Measurement | None:
        """Measure patients by their mean score, cut as images are, or by most of their images."""
        from gansfp.evaluation.measure import mean_by_group, measure_membership, pure_groups

        if case.groups is None:
            return None
        labels, number = pure_groups(case.truth, case.groups)
        if not len(labels):
            return None
        score = mean_by_group(case.values("score", np.float64), number)
        votes = mean_by_group(case.values("decision", np.float64), number)
        decision = (votes >= 0.5 if threshold is None else score >= threshold).astype(np.int64)
        return measure_membership(
            labels, decision, score, None, self.bootstrap, self.permutations, case.seed
        )

    def _controls(self, case: _Case) -> dict[str, Control]:
        from gansfp.evaluation import controls

        rows = _rows(case.benchmark, case.table)
        return controls.membership_controls(
            case.truth,
            case.values("score", np.float64),
            case.values("group").astype(str),
            case.table["sample_id"].tolist(),
            lambda: controls.blind_on_test(case.benchmark, rows, case.truth, case.groups),
            case.seed,
        )

    def _strata(self, case: _Case) -> dict[str, list[Any]]:
        from gansfp.evaluation.strata import DENSITY, local_density, read_covariates, stratify

        values = {DENSITY: local_density(case.benchmark, _rows(case.benchmark, case.table))}
        if self.strata is not None:
            values |= read_covariates(self.strata, case.table["sample_id"].tolist())
        score = case.values("score", np.float64)
        return {
            name: stratify(case.truth.astype(np.int64), score, value, case.groups)
            for name, value in values.items()
        }

    def _controls_without_truth(self, benchmark: Benchmark, seed: int) -> dict[str, Control]:
        from gansfp.evaluation.controls import blind_on_labelled

        blind = blind_on_labelled(benchmark, seed)
        return {} if blind is None else {"blind": blind}


class AttributionEvaluator(_Evaluator):
    """Evaluates attribution tables; see `_Evaluator` for the arguments."""

    task = "attribution"

    def _measure(self, case: _Case) -> Measurement:
        from gansfp.evaluation.measure import measure_attribution

        return measure_attribution(
            case.truth,
            case.values("decision"),
            case.benchmark.classes,
            case.groups,
            self.bootstrap,
            self.permutations,
            case.seed,
        )

    def _patients(self, case: _Case, threshold: float | None) -> Measurement | None:
        """Measure patients by the class of their largest mean probability."""
        from gansfp.evaluation.measure import mean_by_group, measure_attribution, pure_groups
        from gansfp.tables import PROBABILITY_PREFIX, table_classes

        if case.groups is None:
            return None
        labels, number = pure_groups(case.truth.astype(str), case.groups)
        if not len(labels):
            return None
        classes = table_classes(case.table)
        columns = [f"{PROBABILITY_PREFIX}{name}" for name in classes]
        best = mean_by_group(case.table[columns].to_numpy(np.float64), number).argmax(axis=1)
        decision = np.asarray(classes, dtype=object)[best]
        return measure_attribution(
            labels, decision, classes, None, self.bootstrap, self.permutations, case.seed
        )

    def _controls(self, case: _Case) -> dict[str, Control]:
        from gansfp.evaluation.controls import attribution_controls
        from gansfp.evaluation.metrics import encode

        return attribution_controls(
            encode(case.truth, case.benchmark.classes),
            encode(case.values("decision"), case.benchmark.classes),
            case.values("group").astype(str),
            case.table["sample_id"].tolist(),
            case.seed,
        )


def _groups(table: pd.DataFrame) -> NDArray[np.str_] | None:
    """Return the patient of each image, or None where a table knows none."""
    groups = table["group"].to_numpy().astype(str)
    return groups if (groups != table["sample_id"].to_numpy().astype(str)).any() else None


def _rows(benchmark: Benchmark, table: pd.DataFrame) -> NDArray[np.int64]:
    """Find the benchmark rows of a table's images."""
    position = {name: k for k, name in enumerate(benchmark.index.frame["sample_id"])}
    return np.array([position[name] for name in table["sample_id"]], dtype=np.int64)


def _labels_beside(benchmark: Benchmark) -> Path | None:
    """Find `labels.csv` in the folder that holds the folder of test images."""
    rows = benchmark.candidates("test")
    if not len(rows):
        return None
    path = Path(str(benchmark.index.frame["path"].iloc[rows[0]])).parents[1] / TRUTH_FILE
    return path if path.is_file() else None
