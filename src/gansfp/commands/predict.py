"""`gansfp predict`: table and validated run file from a finished run."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from gansfp import build
from gansfp.commands.train import build_method
from gansfp.ensembles.ensemble import Ensemble
from gansfp.errors import UserError
from gansfp.evaluation.submission import RUN_FILE, read_run_file, write_run_file
from gansfp.methods.base import Estimator
from gansfp.runtime import learned, scoring, settings
from gansfp.runtime.run import Run, make_writable
from gansfp.tables import read_table, score_table, write_table

if TYPE_CHECKING:
    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.methods.base import BenchmarkModule

log = logging.getLogger(__name__)

PLACES = ("root", "train_dir", "test_dir", "groups")


def run(config: DictConfig) -> None:
    """Predict the test images of a benchmark with a finished run.

    Args:
        config: `conf/predict.yaml`, composed and checked.
    """
    settings.prepare()
    build.trust(config.trust)
    finished = _finished(Path(config.run))
    stored = finished.config
    output = scoring.submission_folder(finished, config.output)
    make_writable(output)
    data = _data(stored, config.data)
    table = _scores(stored, finished, data, config.data)
    table = _decide(config.get("decision"), finished, table)
    write_table(table, output / "test.parquet")
    path = _write_submission(config.submission, output, table, data.benchmark)
    log.info("%s: %d images, valid", path, len(table))


def _finished(folder: Path) -> Run:
    found = Run(folder)
    if found.result is None:
        raise UserError(
            f"run={folder}: no finished run here (no result.json); `gansfp report` lists the runs"
        )
    return found


def _data(stored: DictConfig, places: DictConfig) -> BenchmarkDataModule:
    """Build the run's datamodule, on other images where the user names some."""
    given = {key: places[key] for key in PLACES if places.get(key) is not None}
    node = OmegaConf.to_container(stored.data)
    if given:
        node = {**node, **dict.fromkeys(PLACES), **given, "folds_file": None}  # type: ignore[dict-item]
    data: BenchmarkDataModule = build.instantiate(node)
    data.prepare_data()
    data.setup("predict")
    return data


def _scores(
    stored: DictConfig, finished: Run, data: BenchmarkDataModule, places: DictConfig
) -> Any:
    method = build_method(stored, data)
    fitted: Estimator | BenchmarkModule
    if isinstance(method, Estimator):
        fitted = type(method).load(finished.folder / "model")
    else:
        fitted = learned.load_module(method, finished.folder)
    rows = data.benchmark.candidates("test")
    if isinstance(fitted, Ensemble) and any(places.get(key) is not None for key in PLACES):
        tables = [_member(Run(Path(voter.run)), places) for voter in fitted.record.last.voting]
        return score_table(data.benchmark, rows, fitted.combined(tables, data, rows))
    return score_table(data.benchmark, rows, scoring.raw_scores(stored, data, fitted, rows))


def _member(finished: Run, places: DictConfig) -> Any:
    """Predict other images with a member of an ensemble, by its own sign and decision rule."""
    stored = finished.config
    table = _scores(stored, finished, _data(stored, places), places)
    return _decide(None, finished, table)


def _decide(node: DictConfig | None, finished: Run, table: Any) -> Any:
    """Apply the run's sign and threshold, or another rule fitted on the run's labelled images."""
    verdict = scoring.Verdict.read(finished)
    table = scoring.signed(table, verdict.sign)
    chosen = node or None
    rule = build.instantiate(chosen or finished.config.decision)
    if chosen is None and verdict.threshold is not None and rule.needs_calibration:
        rule.threshold = verdict.threshold
        return rule.decide(table)
    if rule.needs_calibration:
        rule.fit(read_table(finished.predictions("validation")))
    return rule.decide(table)


def _write_submission(form: DictConfig, output: Path, table: Any, benchmark: Benchmark) -> Path:
    """Write `run.csv`, read it back under the validator's rules, and zip it where asked."""
    names, decisions = table["sample_id"].tolist(), table["decision"].tolist()
    header = ("id", "label") if form.header else None
    write = partial(
        write_run_file, output / RUN_FILE, names, decisions, header, bool(form.extension)
    )
    path = write()
    read_run_file(path, benchmark.task, names, benchmark.classes)
    if form.zip:
        path = write(zipped=True)
    return path
