"""Ensembles in stages: what is submitted, in which order, and what is never done twice."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from toy import write_toy_attribution

from gansfp import cli
from gansfp.cluster import pool, slurm
from gansfp.cluster.frozen import Job, jobs_below
from gansfp.cluster.job import run_job
from gansfp.cluster.standing import standings
from gansfp.commands import train
from gansfp.jobs import JobFailed

QUICK = ["evaluator.bootstrap=20", "evaluator.permutations=20", "evaluator.controls=none"]
VOTE = ["task=attribution", "method=ensemble", "experiment_name=vote",
        "method.members=['experiment=quickstart/attribution_distance']",
        "method.grid={method.k:[1,3]}"]  # fmt: skip
ROUNDS = ["data.sequester=0.2", "method.rounds=1", "method.agreement=0.6"]
LOCAL = ["hydra/launcher=local", "hydra.launcher.dirty=true"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "toy"
    write_toy_attribution(folder)
    return folder


class Console:
    """`gansfp train` under the local launcher, whose jobs run in this process."""

    def __init__(self, toy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._toy, self._monkeypatch = toy, monkeypatch
        self.fits: list[str] = []
        self.started: list[Job] = []
        self.fails: set[str] = set()
        fit = train._fit

        def counted(config: Any, folder: Any, *rest: Any) -> bool:
            if any(word in folder.folder.name for word in self.fails):
                raise ZeroDivisionError("told to fail")
            self.fits.append(folder.folder.name)
            return fit(config, folder, *rest)

        monkeypatch.setattr(train, "_fit", counted)
        monkeypatch.setattr(pool, "run_pool", self._run)

    def _run(self, jobs: Sequence[Job], shares: Any) -> dict[int, JobFailed]:
        line, failed = pool.Line(jobs), dict[int, JobFailed]()
        while line.waiting:
            for job in line.give_up():
                failed[job.number] = JobFailed(str(job.state["error"]))
            job = line.next()
            if job is None:
                continue
            self.started.append(job)
            try:
                run_job(job.folder)
                line.ended(job, True)
            except Exception:
                line.ended(job, False)
                failed[job.number] = JobFailed(str(job.state["error"]))
        return failed

    def __call__(self, *words: str) -> list[str]:
        self.fits.clear()
        self.started.clear()
        argv = ["gansfp", "train", *words, *QUICK, f"data.root={self._toy}"]
        self._monkeypatch.setattr(sys, "argv", argv)
        cli.main()
        return list(self.fits)


@pytest.fixture
def gansfp(toy: Path, in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Console:
    return Console(toy, monkeypatch)


def the_ensemble() -> Path:
    (found,) = Path("runs/default").glob("vote-s*")
    return found


def record(run: Path) -> list[dict[str, Any]]:
    return list(json.loads((run / "model" / "ensemble.json").read_text())["rounds"])


@pytest.mark.slow
def test_stages_do_what_one_process_does_and_nothing_twice(
    gansfp: Console, in_folder: Path
) -> None:
    words = [*VOTE, *ROUNDS]
    assert len(gansfp(*words, "paths.runs=alone")) == 5
    (alone,) = Path("alone/default").glob("vote-s*")
    assert len(gansfp(*words, *LOCAL)) == 5  # a launcher means -m
    run = the_ensemble()
    assert run.name == alone.name
    assert (run / "result.json").read_text() == (alone / "result.json").read_text()
    members = [[Path(v["run"]).name for v in one["voters"]] for one in record(run)]
    assert members == [[Path(v["run"]).name for v in one["voters"]] for one in record(alone)]
    # Two members, the vote between, two members, the vote that is the run.
    assert [job.name.endswith(("(vote 0)", "(vote 1)")) for job in gansfp.started] == [
        False, False, True, False, False, True,
    ]  # fmt: skip
    first, second, vote, third, _, last = gansfp.started
    assert vote.needs == [first.identity, second.identity]
    assert vote.follows is None
    assert third.follows == vote.identity
    assert last.follows == vote.identity
    assert last.identity == str(run)
    assert {one.state for one in standings(Path("runs"))} == {"finished"}
    assert gansfp(*words, *LOCAL) == []
    assert gansfp.started == []
    # A member of the second round is lost: it, and the vote on it, are all that is done again.
    (run / "result.json").unlink()
    lost = Path(record(run)[1]["voters"][1]["run"])
    (lost / "result.json").unlink()
    assert gansfp(*words, *LOCAL) == [lost.name, run.name]
    assert len(gansfp.started) == 2


@pytest.mark.slow
def test_a_member_that_fails_ends_its_ensemble_and_no_other_job(
    gansfp: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*VOTE, *ROUNDS, *LOCAL, "seed=0,1"]
    gansfp.fails = {"attribution_distance-s1-"}
    with pytest.raises(SystemExit):
        gansfp(*words)
    said = capsys.readouterr().err
    assert "seed=1: members failed; the same command goes on with them" in said
    assert "ZeroDivisionError: told to fail" in said
    assert "1 of 2 jobs failed" in said
    notes = {(one.state, one.note) for one in standings(Path("runs")) if "vote-s1" in one.name}
    assert {state for state, _ in notes} == {"failed"}
    assert "not started: an earlier stage of its ensemble failed" in {note for _, note in notes}
    assert any(note.startswith("members failed") for _, note in notes)
    finished = {one.name for one in standings(Path("runs")) if one.state == "finished"}
    assert len([name for name in finished if name.startswith("default/vote-s0")]) == 1
    gansfp.fails = set()
    fitted = gansfp(*words)
    assert len(fitted) == 5
    assert not any("-s0-" in name for name in fitted)
    assert {one.state for one in standings(Path("runs"))} == {"finished"}


def test_members_are_shared_and_a_round_that_is_not_needed_fits_nothing(
    gansfp: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = pd.DataFrame({"sample_id": [], "label": []})
    monkeypatch.setattr("gansfp.ensembles.pseudo_labels.agreed", lambda *_: none)
    fitted = gansfp(*VOTE, *LOCAL, "data.sequester=0.2",
                    "method.agreement=0.6,0.7", "method.rounds=2")  # fmt: skip
    runs = sorted(run.name for run in Path("runs/default").glob("vote-s*"))
    assert len(runs) == 2
    assert sorted(name for name in fitted if name.startswith("vote")) == runs
    assert len(fitted) == 4  # two members for both
    # Two members, and for each ensemble three votes and two rounds of two.
    assert len(gansfp.started) == 2 + 2 * (3 + 2 * 2)
    assert sum(job.superfluous for job in jobs_below(Path("runs"))) == 2 * 2 * 2
    assert {one.state for one in standings(Path("runs"))} == {"finished"}


def test_what_a_job_does_was_written_down_at_submission(
    gansfp: Console, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No job composes anything: an edited recipe changes nothing that is queued."""
    conf = in_folder / "conf" / "experiment" / "mine"
    conf.mkdir(parents=True)
    recipe = conf / "near.yaml"
    text = (
        "# @package _global_\ndefaults:\n  - /experiment/quickstart/attribution_distance\n"
        "method:\n  k: 3\n"
    )
    recipe.write_text(text)
    monkeypatch.setenv("GANSFP_CONF", str(in_folder / "conf"))
    words = ["task=attribution", "method=ensemble", "experiment_name=vote",
             "method.members=['experiment=mine/near']", *ROUNDS]  # fmt: skip
    run_pool = pool.run_pool

    def edited(jobs: Sequence[Job], shares: Any) -> Any:
        recipe.unlink()
        return run_pool(jobs, shares)

    monkeypatch.setattr(pool, "run_pool", edited)
    assert len(gansfp(*words, *LOCAL)) == 3
    first = the_ensemble()
    # And the ensemble of an edited recipe is another ensemble.
    monkeypatch.setattr(pool, "run_pool", run_pool)
    recipe.write_text(text.replace("k: 3", "k: 5"))
    assert len(gansfp(*words)) == 3
    assert len(list(Path("runs/default").glob("vote-s*"))) == 2
    recipe.write_text(text)
    assert gansfp(*words) == []
    shutil.rmtree(first)
    assert gansfp(*words) == [first.name]


def test_dependencies_as_slurm_reads_them(gansfp: Console, in_folder: Path) -> None:
    gansfp(*VOTE, *ROUNDS, *LOCAL)
    jobs = list(jobs_below(Path("runs")))
    for number, job in enumerate(jobs):
        job.hand_out(slurm=f"{number}_0")
    first, second, vote, *_ = jobs
    assert slurm._dependency([], None) == {}
    assert slurm._dependency([first, second], vote) == {
        "dependency": "afterany:0_0:1_0,afterok:2_0",
        "kill-on-invalid-dep": "yes",
    }
