"""An ensemble with a round of pseudo-labels on a real SLURM: arrays, and votes that wait."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from toy import write_toy_attribution

from .conftest import LAUNCHER, Console, slurm, until

pytestmark = pytest.mark.slurm

VOTE = ["task=attribution", "method=ensemble", "experiment_name=vote", "trainer.accelerator=cpu",
        "method.members=['experiment=quickstart/attribution_distance']",
        "method.grid={method.k:[1,3]}", "data.sequester=0.2", "method.rounds=1",
        "method.agreement=0.6", "evaluator.bootstrap=50", "evaluator.permutations=50",
        "evaluator.controls=none"]  # fmt: skip


def ticket(gansfp: Console, number: int) -> str:
    return str(gansfp.json(f"runs/default/.jobs/*/{number:04d}/ticket.json")["slurm"])


def voters(folder: Path) -> list[list[str]]:
    (found,) = folder.glob("vote-s*/model/ensemble.json")
    rounds: list[dict[str, Any]] = json.loads(found.read_text())["rounds"]
    return [[Path(voter["run"]).name for voter in one["voters"]] for one in rounds]


def test_an_ensemble_as_array_vote_array_vote(
    gansfp: Console, tmp_path_factory: pytest.TempPathFactory
) -> None:
    toy = tmp_path_factory.mktemp("toy") / "attribution"
    write_toy_attribution(toy)
    words = [*VOTE, f"data.root={toy}"]
    asked = time.monotonic()
    said = gansfp("train", *LAUNCHER, *words, "hydra.launcher.wait=false")
    slurm("scancel", ticket(gansfp, 1))  # one member of two
    print(f"\nsubmitted in {time.monotonic() - asked:.1f} s")
    assert "with the members and the rounds of ensembles: 6 jobs" in said
    assert said.count("submitted") == 4
    shown = gansfp("status", "runs")
    assert "Dependency" in shown
    assert "rounds/1/" in shown
    # The vote starts all the same, says who is missing, and SLURM takes the next round away.
    until(lambda: slurm("squeue", "-h") == "", 120)
    shown = gansfp("status", "runs")
    assert "members failed; the same command goes on with them" in shown
    assert "not started: an earlier stage of its ensemble failed" in shown
    (kept,) = gansfp.folder.glob("runs/default/quickstart-*/result.json")
    fitted = kept.stat().st_mtime_ns
    # The same command fits what is missing, waits, and ends with the numbers of one process.
    said = gansfp("train", *LAUNCHER, *words)
    assert "with the members and the rounds of ensembles: 5 jobs" in said
    assert kept.stat().st_mtime_ns == fitted
    gansfp("train", *words, "paths.runs=alone")
    (here,) = gansfp.folder.glob("runs/default/vote-s*")
    (there,) = gansfp.folder.glob("alone/default/vote-s*")
    assert here.name == there.name
    assert voters(here.parent) == voters(there.parent)
    assert json.loads((here / "result.json").read_text()) == json.loads(
        (there / "result.json").read_text()
    )
    pd.testing.assert_frame_equal(
        *(pd.read_parquet(run / "predictions" / "test.parquet") for run in (here, there)),
        check_exact=True,
    )
    said = gansfp("train", *LAUNCHER, *words)
    assert "1 jobs, 0 of them to run" in said
