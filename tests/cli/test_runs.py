"""Whole runs through the command line, in this process: tables, run file, skip, truth, sweep."""

from __future__ import annotations

import csv
import json
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
from omegaconf import DictConfig
from toy import write_toy_attribution, write_toy_membership

from gansfp import cli
from gansfp.commands import train
from gansfp.runtime import learned

QUICK = ["trainer.max_epochs=2", "trainer.accelerator=cpu", "evaluator.bootstrap=200",
         "evaluator.permutations=200"]  # fmt: skip


@pytest.fixture(scope="module")
def membership(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "membership"
    write_toy_membership(folder)
    return folder


@pytest.fixture(scope="module")
def attribution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "attribution"
    write_toy_attribution(folder)
    return folder


@pytest.fixture
def gansfp(in_folder: Path, monkeypatch: pytest.MonkeyPatch):
    def run(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["gansfp", *words])
        cli.main()

    return run


def only(pattern: str) -> Path:
    (found,) = Path().glob(pattern)
    return found


EXPERIMENTS = [
    ("membership", "quickstart/membership_siamese"),
    ("membership", "beyond/pool_ratio_pixels"),
    ("attribution", "quickstart/attribution_siamese"),
    ("attribution", "quickstart/attribution_distance"),
]


@pytest.mark.parametrize(("task", "experiment"), EXPERIMENTS)
def test_a_run_leaves_what_the_contract_says(
    gansfp, request: pytest.FixtureRequest, task: str, experiment: str
) -> None:
    root = request.getfixturevalue(task)
    gansfp("train", f"experiment={experiment}", f"data.root={root}", *QUICK)
    folder = only("runs/default/*")
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"
    table = pd.read_parquet(folder / "predictions" / "test.parquet")
    truth = {row[0]: row[1] for row in csv.reader((root / "test" / "labels.csv").open())}
    assert len(table) == len(truth) - ("file" in truth)
    score = {"raw_score", "score"} if task == "membership" else {f"p_t{k}" for k in range(1, 6)}
    assert set(table.columns) == {"sample_id", "group", "decision"} | score
    # The result is the official metric of the table against the truth, by another route.
    said = [truth[Path(name).name] for name in table["sample_id"]]
    accuracy = float(np.mean([str(a) == b for a, b in zip(table["decision"], said, strict=True)]))
    result = json.loads((folder / "result.json").read_text())
    assert result["test"]["metrics"]["accuracy"][0] == pytest.approx(accuracy)
    assert result["controls"]


def test_shuffled_truth_changes_no_byte_of_a_prediction(gansfp, membership: Path) -> None:
    words = ("train", "experiment=quickstart/membership_siamese", f"data.root={membership}", *QUICK)
    gansfp(*words)
    run = only("runs/default/*")
    before = {p.name: p.read_bytes() for p in (run / "predictions").iterdir()}
    labels = membership / "test" / "labels.csv"
    text = labels.read_text()
    try:
        head, *rows = text.splitlines()
        names, values = zip(*(row.split(",") for row in rows), strict=True)
        shuffled = random.Random(0).sample(values, len(values))
        labels.write_text("\n".join([head, *map(",".join, zip(names, shuffled, strict=True))]))
        gansfp(*words, "force=true")
    finally:
        labels.write_text(text)
    results = [json.loads(p.read_text()) for p in Path("runs/default").glob("*/result.json")]
    assert len(results) == 2
    assert {p.name: p.read_bytes() for p in (run / "predictions").iterdir()} == before
    assert set(before) == {"test.parquet", "validation.parquet"}
    assert results[0]["test"]["metrics"] != results[1]["test"]["metrics"]


@pytest.mark.parametrize("objective", [None, "auroc"])
def test_a_finished_run_is_skipped_with_its_objective(
    gansfp, membership: Path, monkeypatch: pytest.MonkeyPatch, objective: str | None
) -> None:
    given: list[float | None] = []
    real = train.run
    monkeypatch.setattr(train, "run", lambda config: given.append(real(config)) or given[-1])
    words = ["train", "experiment=beyond/nearest_pixels", f"data.root={membership}", *QUICK]
    words += [f"objective={objective}"] if objective else []
    gansfp(*words)
    stored = only("runs/default/*/result.json")
    before = stored.stat().st_mtime_ns
    gansfp(*words)
    assert stored.stat().st_mtime_ns == before
    expected = json.loads(stored.read_text())["test"]["metrics"][objective or "kappa"][0]
    assert expected != 0
    assert given == [expected, expected]


def test_an_objective_that_does_not_exist_is_named(
    gansfp, membership: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "experiment=beyond/nearest_pixels", f"data.root={membership}", *QUICK]
    for _ in range(2):  # as the run ends, and as it is skipped
        with pytest.raises(SystemExit):
            gansfp(*words, "objective=kapa")
        said = capsys.readouterr().err.splitlines()[-1]
        assert said.startswith("gansfp: objective=kapa: the run has no such finite metric; it has ")


def test_predict_writes_a_run_file_that_scores_as_the_run_did(
    gansfp, attribution: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gansfp("train", "experiment=quickstart/attribution_siamese", f"data.root={attribution}", *QUICK)
    folder = only("runs/default/*")
    gansfp("predict", str(folder), f"data.root={attribution}", "output=out")
    stored = pd.read_parquet(folder / "predictions" / "test.parquet")
    again = pd.read_parquet("out/test.parquet")
    pd.testing.assert_frame_equal(stored, again)
    capsys.readouterr()
    truth = attribution / "test" / "labels.csv"
    gansfp("score", "task=attribution", f"truth={truth}", "submission=out/run.csv")
    scored = json.loads(capsys.readouterr().out)
    result = json.loads((folder / "result.json").read_text())
    assert scored["accuracy"] == pytest.approx(result["test"]["metrics"]["accuracy"][0])
    lines = Path("out/run.csv").read_text().splitlines()
    assert len(lines) == len(stored)
    numbers = [int("".join(filter(str.isdigit, line.split(",")[0]))) for line in lines]
    assert numbers == sorted(numbers)


def test_predict_with_another_rule_and_form(gansfp, membership: Path) -> None:
    gansfp("train", "experiment=beyond/nearest_pixels", f"data.root={membership}", *QUICK)
    folder = only("runs/default/*")
    gansfp("predict", str(folder), "decision=median", "submission.header=true",
           "submission.extension=false", "submission.zip=true")  # fmt: skip
    table = pd.read_parquet(folder / "submission" / "test.parquet")
    assert table["decision"].mean() == pytest.approx(0.5, abs=0.01)
    head, first, *_ = (folder / "submission" / "run.csv").read_text().splitlines()
    assert head == "id,label"
    assert ".png" not in first
    assert (folder / "submission" / "run.zip").is_file()


def test_a_sweep_and_its_leaderboard(
    gansfp, membership: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gansfp("train", "-m", "sweep=demo_membership", f"data.root={membership}", "study=two", *QUICK)
    assert len(list(Path("runs/two").glob("*/result.json"))) == 2
    capsys.readouterr()
    gansfp("report", "runs")
    shown = capsys.readouterr().out
    assert "transductive" in shown
    assert "beyond/pool_ratio_pixels" in shown
    assert "beyond/nearest_pixels" in shown
    assert "VALID" in shown
    gansfp("status", "runs")
    standing = capsys.readouterr().out
    assert "2 finished" in standing
    board, page = shown.rstrip("\n").rsplit("\n", 1)
    assert page == "page: runs/report.html"
    assert Path("runs/report.html").is_file()
    assert board in standing
    assert [path.name for path in Path().iterdir()] == ["runs"]  # no log file in the way


def test_awkward_names_from_the_sweep_to_the_report(
    gansfp, membership: Path, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = in_folder / "~ a,b (1) O'Neil=x #1 & Zoë"
    shutil.copytree(membership, place / "data")
    runs, card = place / "runs", place / "forged" / "card.json"
    gansfp("train", "-m", "experiment=quickstart/membership_siamese", "seed=0,1",
           f"data.root={place / 'data'}", f"paths.runs={runs}", *QUICK)  # fmt: skip
    first, second = sorted(runs.glob("default/*"))
    gansfp("predict", str(first), f"data.root={place / 'data'}", f"output={place / 'out'}")
    assert (place / "out" / "run.csv").is_file()
    gansfp("predict", "-m", f"run={second}", f"paths.runs={runs}")
    gansfp("inspect", f"data.root={place / 'data'}", "task=membership", f"output={place / 'c.png'}")
    assert (place / "c.png").is_file()
    gansfp("forge", f"source.path={place / 'data' / 'train' / 'real_used'}", "source.resize=32",
           "generator=ddpm_debug", "generator.steps=2", "benchmark.generated_train=8",
           "benchmark.generated_test=4", "benchmark.test_used=10", "trainer.accelerator=cpu",
           f"output={card.parent}")  # fmt: skip
    assert card.is_file()
    capsys.readouterr()
    gansfp("score", "task=membership", f"truth={place / 'data' / 'test' / 'labels.csv'}",
           f"submission={place / 'out' / 'run.csv'}")  # fmt: skip
    assert "kappa" in json.loads(capsys.readouterr().out)
    gansfp("report", str(runs))
    assert "quickstart/membership_siamese" in capsys.readouterr().out
    assert {path.name for path in in_folder.iterdir()} == {place.name}


def test_a_sweep_tells_every_job_that_failed_and_runs_the_others(
    gansfp, membership: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = learned.make_trainer

    def broken(config: DictConfig, *arguments: Any, **named: Any) -> L.Trainer:
        if config.max_epochs == 3:
            raise RuntimeError("a fault of the program")
        return real(config, *arguments, **named)

    monkeypatch.setattr(learned, "make_trainer", broken)
    with pytest.raises(SystemExit) as stop:
        gansfp("train", "-m", "experiment=quickstart/membership_siamese", f"data.root={membership}",
               *QUICK[1:], "trainer.max_epochs=1,2,3", "method.inference=best,centroid",
               "seed=4")  # fmt: skip
    assert stop.value.code == 1
    *_, first, second, third, fourth, last = capsys.readouterr().err.strip().splitlines()
    for line, epochs in ((first, 1), (second, 2), (third, 3)):
        assert line.startswith(f"gansfp: trainer.max_epochs={epochs} method.inference=best: ")
    assert first.endswith(": method.inference=best: choose centroid or average")
    assert "max_epochs=3 method.inference=centroid: RuntimeError: a fault of the prog" in fourth
    assert last == "gansfp: 4 of 6 jobs failed"
    assert len(list(Path("runs").rglob("result.json"))) == 2


def test_an_interrupt_ends_a_sweep_whatever_a_library_makes_of_it(
    gansfp, membership: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def run(config: DictConfig) -> None:
        seen.append(config.seed)
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("torch's zip writer")

    monkeypatch.setattr(train, "run", run)
    monkeypatch.setattr("gansfp.cli.leave", lambda stop: sys.exit(stop.exit_status))
    with pytest.raises(SystemExit) as stop:
        gansfp("train", "-m", f"data.root={membership}", "seed=0,1,2")
    assert stop.value.code == 130
    assert seen == [0]


def test_a_users_method_in_a_users_package(
    gansfp, membership: Path, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (in_folder / "mymethod.py").write_text(
        "import numpy as np\n"
        "from gansfp.methods.base import Estimator\n"
        "class Brightness(Estimator):\n"
        "    uses_synthetic = 'none'\n"
        "    fits_labels = False\n"
        "    def __init__(self, power: float = 1.0): self.power = power\n"
        "    def fit(self, data): return self\n"
        "    def predict(self, data, rows):\n"
        "        return data.benchmark.images(rows).mean((1, 2)) ** self.power\n"
        "    def save(self, folder): folder.mkdir()\n"
        "    @classmethod\n"
        "    def load(cls, folder): return cls()\n"
    )
    (in_folder / "conf" / "method").mkdir(parents=True)
    (in_folder / "conf" / "method" / "brightness.yaml").write_text(
        "_target_: mymethod.Brightness\npower: 1.0\n"
    )
    monkeypatch.setenv("GANSFP_CONF", str(in_folder / "conf"))
    monkeypatch.syspath_prepend(str(in_folder))
    gansfp("train", "method=brightness", "trust=[mymethod]", f"data.root={membership}", *QUICK)
    result = json.loads(only("runs/default/*/result.json").read_text())
    assert result["test"]["n"] == 200
    with pytest.raises(SystemExit):
        gansfp("train", "method=brightness", f"data.root={membership}", "seed=1", *QUICK)
