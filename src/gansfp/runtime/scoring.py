"""From a fitted method to prediction tables with decisions."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gansfp import build
from gansfp.methods.base import Estimator
from gansfp.orientation import orient
from gansfp.runtime import learned
from gansfp.runtime.files import read_json, write_json
from gansfp.tables import score_table, write_table

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from omegaconf import DictConfig

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.decisions import DecisionRule
    from gansfp.methods.base import BenchmarkModule
    from gansfp.runtime.run import Run

log = logging.getLogger(__name__)

LABEL = "label"
IN_SAMPLE = "in_sample"


@dataclass(frozen=True)
class Verdict:
    """How the raw scores of a run became decisions; stored as `decision.json`.

    Attributes:
        sign: +1 or -1: `score = sign * raw_score` is higher for used images. +1 for attribution.
        orientation: Why that sign, in one sentence.
        rule: Name of the decision rule.
        threshold: Its cut; None where it has none.
        in_sample: The cut or the sign was set on images that the method was fitted on.
        transductive: Scores or decisions of test images depend on other unlabelled test images.
    """

    sign: int
    orientation: str
    rule: str
    threshold: float | None
    in_sample: bool
    transductive: bool

    @classmethod
    def read(cls, run: Run) -> Verdict:
        """Read the verdict of a finished run."""
        return cls(**read_json(run.folder / "decision.json"))


def predict_run(
    config: DictConfig, run: Run, data: BenchmarkDataModule, method: BenchmarkModule | Estimator
) -> Verdict:
    """Write the prediction tables of a run: labelled images first, then the test images.

    Args:
        config: The configuration of the run.
        run: Its folder.
        data: Its benchmark.
        method: Fitted.

    Returns:
        How decisions were made.
    """
    labelled = labelled_table(config, data, method)
    rule: DecisionRule = build.instantiate(config.decision)
    test_rows = data.benchmark.candidates("test")
    test = score_table(data.benchmark, test_rows, raw_scores(config, data, method, test_rows))
    sign, orientation = _orientation(data, method, labelled)
    labelled, test = signed(labelled, sign), signed(test, sign)
    rule.fit(labelled)
    test = rule.decide(test)
    verdict = Verdict(
        sign=sign,
        orientation=orientation,
        rule=type(rule).__name__,
        threshold=rule.threshold,
        in_sample=bool(labelled[IN_SAMPLE].any()) and rule.needs_calibration,
        transductive=method.transductive or rule.transductive or data.transductive,
    )
    if len(labelled):
        write_table(rule.decide(labelled), run.predictions("validation"))
    if len(data.sequestered_rows):
        aside = known_table(config, data, method, data.sequestered_rows)
        write_table(rule.decide(signed(aside, sign)), run.predictions("sequestered"))
    write_table(test, run.predictions("test"))
    write_json(run.folder / "decision.json", asdict(verdict))
    if data.benchmark.task == "membership":
        log.info("%s", orientation)
    return verdict


def raw_scores(
    config: DictConfig,
    data: BenchmarkDataModule,
    method: BenchmarkModule | Estimator,
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Score images with a fitted method of either kind."""
    if isinstance(method, Estimator):
        return method.predict(data, rows)
    return learned.predict(method, data, rows, config.trainer)


def labelled_table(
    config: DictConfig, data: BenchmarkDataModule, method: BenchmarkModule | Estimator
) -> pd.DataFrame:
    """Score the labelled images that may set a sign and a threshold.

    A method that learns from labels is asked about the held-out fold alone. Where no fold is held
    out it scores the images that it was fitted on, marked `in_sample`; decision rules refuse these
    unless told otherwise. Attribution without a fold has no use for them.

    Returns:
        A prediction table with `label` (membership: 1 used, 0 not used; attribution: the class)
        and `in_sample`; perhaps empty.
    """
    in_sample = method.fits_labels and not len(data.holdout_rows)
    rows = data.holdout_rows if method.fits_labels else data.benchmark.candidates("train")
    if in_sample and data.benchmark.task == "membership":
        rows = data.benchmark.candidates("train")
    table = known_table(config, data, method, rows)
    table[IN_SAMPLE] = in_sample
    return table


def known_table(
    config: DictConfig,
    data: BenchmarkDataModule,
    method: BenchmarkModule | Estimator,
    rows: NDArray[np.int64],
) -> pd.DataFrame:
    """Score labelled images: a prediction table with `label` (1 and 0, or the class)."""
    membership = data.benchmark.task == "membership"
    shape = (0,) if membership else (0, len(data.benchmark.classes))
    scores = raw_scores(config, data, method, rows) if len(rows) else np.zeros(shape)
    table = score_table(data.benchmark, rows, scores)
    labels = data.benchmark.labels(rows)
    table[LABEL] = (labels == "used").astype(np.int64) if membership else labels
    return table


def _orientation(
    data: BenchmarkDataModule, method: BenchmarkModule | Estimator, labelled: pd.DataFrame
) -> tuple[int, str]:
    if data.benchmark.task == "attribution":
        return 1, ""
    evidence = labelled[~labelled[IN_SAMPLE].astype(bool)]
    groups = evidence["group"].to_numpy() if data.benchmark.has_groups else None
    return orient(
        evidence["raw_score"].to_numpy(),
        evidence[LABEL].to_numpy(),
        method.higher_is_member,
        groups,
    )


def signed(table: pd.DataFrame, sign: int) -> pd.DataFrame:
    """Put `score` after `raw_score`; attribution tables stay as they are."""
    if "raw_score" not in table:
        return table
    table = table.copy()
    position = list(table.columns).index("raw_score") + 1
    table.insert(position, "score", sign * table["raw_score"])
    return table


def submission_folder(run: Run, output: str | None) -> Path:
    """Say where `predict` writes: the folder that the user names, or one inside the run."""
    return Path(output) if output else run.folder / "submission"
