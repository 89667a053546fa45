"""Sweeps on this machine through the pool, with jobs that start no torch."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gansfp import cli
from gansfp.cluster import pool, standing
from gansfp.cluster.pool import Shares
from gansfp.cluster.snapshot import take_snapshot
from gansfp.errors import UserError
from gansfp.runtime import code

LOCAL = ["hydra/launcher=local", "hydra.launcher.dirty=true", "seconds=0"]


@pytest.fixture
def gansfp(in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*words: str, status: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["gansfp", *words])
        try:
            cli.main()
            returned = 0
        except SystemExit as stop:
            returned = int(stop.code or 0)
        said = capsys.readouterr()
        assert returned == status, said.err
        return said.out + said.err

    return run


def digest(seed: int, steps: int) -> str:
    value = str(seed)
    for step in range(1, steps + 1):
        value = hashlib.sha256(f"{value} {step}".encode()).hexdigest()
    return value


def results() -> list[str]:
    paths = sorted(Path("runs/probe").glob("probe-*/result.json"))
    return [json.loads(path.read_text())["digest"] for path in paths]


def test_jobs_run_once_each_in_their_own_processes(gansfp) -> None:
    said = gansfp("probe", "-m", *LOCAL, "seed=0,1,1", "steps=3", "hydra.launcher.workers=2")
    assert "3 jobs, 2 of them to run" in said  # the same work twice is done once
    assert set(results()) == {digest(0, 3), digest(1, 3)}
    pids = {json.loads(p.read_text())["pid"] for p in Path("runs").rglob("ticket.json")}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert "2 jobs, 0 of them to run" in gansfp("probe", "-m", *LOCAL, "seed=0,1", "steps=3")


def test_jobs_that_fail_in_every_way_are_told_and_go_on(gansfp) -> None:
    words = ("probe", "-m", *LOCAL, "fail=error,exit,kill,null", "steps=2")
    said = gansfp(*words, status=1)
    assert "fail=error: RuntimeError: fail=error: the probe was told to fail" in said
    assert "fail=exit: died without a word: exit status 3" in said
    assert "fail=kill: died without a word: SIGKILL; out of memory?" in said
    assert "| probe: now comes fail=kill" in said
    assert "3 of 4 jobs failed" in said
    shown = gansfp("status", "runs")
    assert "3 failed, 1 finished" in shown
    assert "died without a word: SIGKILL" in shown
    gansfp(*words)
    assert results() == [digest(0, 2)] * 4
    assert "4 finished, 3 resumed" in gansfp("status")


def test_force_moves_the_run_aside_at_submission(gansfp) -> None:
    gansfp("probe", "-m", *LOCAL, "seed=0")
    gansfp("probe", "-m", *LOCAL, "seed=0", "force=true")
    names = sorted(path.name for path in Path("runs/probe").glob("probe-*"))
    assert len(names) == 2
    assert ".old-" in names[1]
    stored = sorted(Path("runs/probe/.jobs").glob("*/0000/config.yaml"))
    assert all("force: false" in path.read_text() for path in stored)


def test_a_mistake_in_one_job_starts_none(gansfp) -> None:
    said = gansfp("probe", "-m", *LOCAL, "seed=0", "+stepps=1,2", status=2)
    assert "did you mean steps?" in said
    assert not Path("runs/probe").exists()


def test_a_command_without_jobs_is_refused(gansfp) -> None:
    said = gansfp("status", "-m", "hydra/launcher=local", status=2)
    assert "gansfp status: takes no launcher; hydra/launcher goes with train" in said


def test_an_edited_checkout_is_refused_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = code.Code("abc", ("src/gansfp/x.py",), "diff")
    monkeypatch.setattr("gansfp.cluster.snapshot.describe", lambda _: edited)
    with pytest.raises(UserError, match=r"src/gansfp/x\.py: not committed.*dirty=true"):
        take_snapshot(tmp_path, dirty=False)
    copy = take_snapshot(tmp_path, dirty=True)
    assert take_snapshot(tmp_path, dirty=True) == copy
    assert code.describe(copy.parent) == edited  # a run of the copy knows what it is
    assert (copy / "gansfp" / "cluster" / "job.py").is_file()
    assert (copy / "hydra_plugins" / "gansfp" / "local.py").is_file()
    assert (copy.parent / "conf" / "train.yaml").is_file()


def test_describing_a_checkout(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c",
                        *words], check=True, capture_output=True)  # fmt: skip

    assert code.describe(tmp_path) == code.Code(None)
    source = tmp_path / "src" / "gansfp" / "a.py"
    source.parent.mkdir(parents=True)
    source.write_text("1\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    clean = code.describe(tmp_path)
    assert clean.revision is not None
    assert (clean.edited, clean.diff) == ((), "")
    (tmp_path / "notes.txt").write_text("not code")
    assert code.describe(tmp_path) == clean
    source.write_text("2\n")
    changed = code.describe(tmp_path)
    assert changed.edited == ("src/gansfp/a.py",)
    assert "-1\n+2" in changed.diff


class TestShares:
    @pytest.fixture(autouse=True)
    def _machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3,5")

    def test_a_gpu_each(self) -> None:
        shares = Shares.deal(10, workers=None, threads=None, gpus=1, needed=True)
        assert shares == Shares(3, 5, ["2", "3", "5"])

    def test_two_gpus_each(self) -> None:
        assert Shares.deal(10, workers=None, threads=4, gpus=2, needed=True).gpus == ["2,3"]

    def test_no_more_workers_than_jobs(self) -> None:
        assert Shares.deal(2, workers=None, threads=None, gpus=1, needed=True).workers == 2

    def test_without_gpus_a_job_for_two_cores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        shares = Shares.deal(100, workers=None, threads=None, gpus=1, needed=False)
        assert shares == Shares(8, 2, [""] * 8)

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"gpus": 4}, "this machine has 3 GPUs"),
            ({"workers": 4}, "there are GPUs for 3"),
            ({"workers": 0}, r"hydra\.launcher\.workers=0"),
            ({"threads": 0}, r"hydra\.launcher\.threads=0"),
        ],
    )
    def test_refusals(self, changes: dict[str, int], says: str) -> None:
        asked = {"workers": None, "threads": None, "gpus": 1, "needed": True} | changes
        with pytest.raises(UserError, match=says):
            Shares.deal(10, **asked)  # type: ignore[arg-type]


def test_gpus_are_named_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert pool.visible_gpus() == []


def test_a_run_whose_process_is_gone_is_interrupted(in_folder: Path) -> None:
    run = in_folder / "runs" / "a"
    run.mkdir(parents=True)
    (run / "status.json").write_text('{"state": "running", "starts": 2}')
    (run / "progress.json").write_text('{"step": 3, "total": 4, "left": 9.0, "time": 0}')
    (one,) = standing.standings(in_folder)
    assert (one.state, one.starts, one.progress, one.time_left) == ("interrupted", 2, "75%", "")
