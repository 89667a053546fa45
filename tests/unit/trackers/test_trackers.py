"""Trackers end in the state of their run, and keep one id through stops: read from their files."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from toy import write_toy_membership

from gansfp import cli
from gansfp.commands import train
from gansfp.trackers.csv import CsvTracker

QUICK = ["evaluator.bootstrap=50", "evaluator.permutations=50", "trainer.accelerator=cpu"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "membership"
    write_toy_membership(folder)
    return folder


@pytest.fixture
def gansfp(in_folder: Path, monkeypatch: pytest.MonkeyPatch, toy: Path):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")

    def run(*words: str) -> int:
        argv = ["gansfp", "train", f"data.root={toy}", *QUICK, *words]
        monkeypatch.setattr(sys, "argv", argv)
        try:
            cli.main()
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return run


def the_run() -> Path:
    (found,) = Path("runs/default").glob("*")
    return found


def mlflow_runs():
    client = MlflowClient(f"file:{Path('runs/mlruns').absolute()}")
    return client.search_runs([client.get_experiment_by_name("default").experiment_id])


def test_all_at_once_with_the_result_in_each(gansfp, wandb_endings) -> None:
    assert gansfp("experiment=beyond/nearest_pixels", "logger=[wandb,mlflow,tensorboard]") == 0
    run = the_run()
    kappa = json.loads((run / "result.json").read_text())["test"]["metrics"]["kappa"][0]
    tracker = json.loads((run / "run.json").read_text())["tracker"]
    assert wandb_endings(run) == [(tracker, 0, False)]
    (files,) = run.glob("wandb/offline-run-*/files")
    assert list(files.glob("media/table/predictions/*.json"))
    (found,) = mlflow_runs()
    assert found.info.status == "FINISHED"
    assert found.data.metrics["test/kappa"] == pytest.approx(kappa)
    assert found.data.params["method.statistic"] == "nearest"
    assert found.data.tags["gansfp.tracker"] == tracker
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    assert events.Scalars("test/kappa")[0].value == pytest.approx(kappa)


def test_a_failed_run_and_then_the_same_one_finished(
    gansfp, wandb_endings, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("experiment=beyond/nearest_pixels", "logger=[wandb,mlflow]")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("no")

    with monkeypatch.context() as patch:
        patch.setattr(train, "_evaluate", broken)
        with pytest.raises(ZeroDivisionError):
            gansfp(*words)
    run = the_run()
    (before,) = mlflow_runs()
    assert before.info.status == "FAILED"
    assert gansfp(*words) == 0
    (after,) = mlflow_runs()
    assert (after.info.run_id, after.info.status) == (before.info.run_id, "FINISHED")
    tracker = json.loads((run / "run.json").read_text())["tracker"]
    assert wandb_endings(run) == [(tracker, 1, False), (tracker, 0, False)]


def test_a_stopped_run_is_to_go_on(gansfp, wandb_endings, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "_evaluate", stop)
    assert gansfp("experiment=beyond/nearest_pixels", "logger=[wandb,mlflow]") == 130
    (found,) = mlflow_runs()
    assert found.info.status == "SCHEDULED"
    assert wandb_endings(the_run())[0][1:] == (1, True)


def test_two_runs_of_one_process_are_two_runs(gansfp, wandb_endings) -> None:
    gansfp("-m", "experiment=beyond/nearest_pixels", "seed=0,1", "logger=[wandb,mlflow]")
    ids = {wandb_endings(run)[0][0] for run in Path("runs/default").glob("*")}
    assert len(ids) == 2
    assert {run.info.status for run in mlflow_runs()} == {"FINISHED"}
    assert len(mlflow_runs()) == 2


def test_metrics_before_a_stop_stay_and_repeated_steps_replace_theirs(tmp_path: Path) -> None:
    first = CsvTracker(str(tmp_path))
    for step in (10, 20, 30):
        first.log_metrics({"train/loss": step / 10}, step)
    first.save()
    again = CsvTracker(str(tmp_path))  # the checkpoint was of step 15
    again.log_metrics({"train/loss": 2.5, "val/kappa": 0.5}, 20)
    again.save()
    with (tmp_path / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["step"], row["train/loss"]) for row in rows] == [("10", "1.0"), ("20", "2.5")]


def test_a_logger_that_is_none_is_named(gansfp, capsys: pytest.CaptureFixture[str]) -> None:
    assert gansfp("experiment=beyond/nearest_pixels", "+logger.x._target_=torch.nn.ReLU") == 2
    assert "logger.x: ReLU is no Lightning logger" in capsys.readouterr().err
