"""Jobs on a real SLURM that start no torch: what the launcher says, and that it always returns."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from .conftest import LAUNCHER, Console, finished, slurm, until

pytestmark = pytest.mark.slurm


def digest(seed: int, steps: int) -> str:
    """What an undisturbed probe ends with, by hand."""
    import hashlib

    value = str(seed)
    for step in range(1, steps + 1):
        value = hashlib.sha256(f"{value} {step}".encode()).hexdigest()
    return value


def job_of(gansfp: Console) -> str:
    """The SLURM id of the one job, once it runs."""
    ticket = until(lambda: gansfp.json("runs/probe/.jobs/*/0000/ticket.json"))
    until(lambda: list(gansfp.folder.glob("runs/probe/probe-*/state.json")))
    return str(ticket["slurm"])


def test_a_sweep_of_three_and_again(gansfp: Console) -> None:
    said = gansfp.sweep("probe", "seed=0,1,2")
    assert "submitted 3 jobs" in said
    results = {r["digest"] for r in gansfp.jsons("runs/probe/probe-*/result.json")}
    assert results == {digest(seed, 5) for seed in range(3)}
    facts = gansfp.jsons("runs/probe/probe-*/run.json")
    assert len({f["slurm"]["SLURM_ARRAY_TASK_ID"] for f in facts}) == 3
    # The same again runs only what is missing.
    said = gansfp.sweep("probe", "seed=0,1,2,3")
    assert "4 jobs, 1 of them to run" in said
    shown = gansfp("status", "runs")
    assert "4 finished" in shown


def test_failing_jobs_among_good_ones(gansfp: Console) -> None:
    said = gansfp.sweep("probe", "seed=0,1", "fail=null,error,exit,kill", "steps=2", status=1)
    assert "fail=error: RuntimeError: fail=error: the probe was told to fail" in said
    assert "fail=exit: died without a word: FAILED, exit status 3" in said
    assert "fail=kill: died without a word: FAILED, SIGKILL; out of memory?" in said
    assert "| probe: now comes fail=kill" in said  # the tail of its log
    assert "6 of 8 jobs failed" in said
    assert len(gansfp.jsons("runs/probe/probe-*/result.json")) == 2
    assert "6 failed, 2 finished" in gansfp("status", "runs")
    # Started again, each goes on from its own state.
    said = gansfp.sweep("probe", "seed=0,1", "fail=null,error,exit,kill", "steps=2")
    results = gansfp.jsons("runs/probe/probe-*/result.json")
    assert sorted(r["digest"] for r in results) == sorted([digest(0, 2), digest(1, 2)] * 4)
    assert "8 finished, 6 resumed" in gansfp("status", "runs")


def test_out_of_memory(gansfp: Console) -> None:
    said = gansfp.sweep("probe", "fail=memory", "steps=2", "hydra.launcher.memory=250", status=1)
    assert "died without a word" in said
    assert "memory limit" in said  # SLURM's own words, from the log


def test_a_cancelled_job(gansfp: Console) -> None:
    process = gansfp.start("probe", "-m", *LAUNCHER, "steps=600")
    slurm("scancel", job_of(gansfp))
    said = finished(process, status=1)
    assert "died without a word: CANCELLED" in said
    assert "1 failed" in gansfp("status", "runs")


def test_a_signal_requeues_and_status_follows(gansfp: Console) -> None:
    process = gansfp.start("probe", "-m", *LAUNCHER, "steps=60", "seconds=0.1")
    job = job_of(gansfp)
    until(lambda: gansfp.json("runs/probe/probe-*/state.json")["step"] >= 5)
    shown = gansfp("status", "runs")
    assert "running" in shown
    assert f"SLURM job {job}" in shown
    assert "%" in shown
    slurm("scancel", "--signal=USR2", job)
    until(lambda: "waiting" in gansfp("status", "runs"))
    finished(process)
    assert gansfp.json("runs/probe/probe-*/result.json")["digest"] == digest(0, 60)
    assert gansfp.json("runs/probe/probe-*/status.json")["starts"] == 2
    facts = gansfp.json("runs/probe/probe-*/run.json")
    assert facts["slurm"]["SLURM_RESTART_COUNT"] == "1"
    assert len(facts["starts_before"]) == 1


def test_a_time_out_requeues_and_after_so_many_it_fails(gansfp: Console) -> None:
    process = gansfp.start("probe", "-m", *LAUNCHER, "steps=300", "seconds=0.2",
                           "hydra.launcher.time=1", "hydra.launcher.signal_seconds=50")  # fmt: skip
    finished(process)
    assert gansfp.json("runs/probe/probe-*/result.json")["digest"] == digest(0, 300)
    assert gansfp.json("runs/probe/probe-*/status.json")["starts"] >= 2


def test_out_of_time_too_often(gansfp: Console) -> None:
    process = gansfp.start("probe", "-m", *LAUNCHER, "steps=600", "hydra.launcher.time=1",
                           "hydra.launcher.timeouts=0")  # fmt: skip
    slurm("scancel", "--signal=USR2", job_of(gansfp))
    said = finished(process, status=1)
    assert "timed-out too many times" in said


def test_a_higher_partition_preempts(gansfp: Console) -> None:
    low = [word for word in LAUNCHER if "partition" not in word] + ["hydra.launcher.cores=2"]
    first = gansfp.start("probe", "-m", *low, "hydra.launcher.partition=low", "seed=1",
                         "steps=60", "seconds=0.1")  # fmt: skip
    job_of(gansfp)
    until(lambda: gansfp.json("runs/probe/probe-s1-*/state.json")["step"] >= 5)
    gansfp("probe", "-m", *low, "hydra.launcher.partition=high", "seed=2", "steps=5")
    finished(first)
    assert gansfp.json("runs/probe/probe-s1-*/result.json")["digest"] == digest(1, 60)
    assert gansfp.json("runs/probe/probe-s1-*/status.json")["starts"] == 2
    assert gansfp.json("runs/probe/probe-s2-*/status.json")["starts"] == 1


def test_a_stopped_launcher_leaves_its_jobs_and_the_next_one_waits_for_them(
    gansfp: Console,
) -> None:
    process = gansfp.start("probe", "-m", *LAUNCHER, "steps=60", "seconds=0.1")
    job = job_of(gansfp)
    os.kill(process.pid, signal.SIGINT)
    finished(process, status=130)
    assert job in slurm("squeue", "-h", "-r", "-o", "%i")
    said = gansfp.sweep("probe", "steps=60", "seconds=0.1")
    assert "1 of them are in the queue already" in said
    assert gansfp.json("runs/probe/probe-*/status.json")["starts"] == 1


def test_submit_without_waiting(gansfp: Console) -> None:
    start = time.monotonic()
    said = gansfp.sweep("probe", "steps=10", "seconds=0.5", "hydra.launcher.wait=false")
    assert time.monotonic() - start < 5
    assert "gansfp status runs/probe" in said
    until(lambda: list(gansfp.folder.glob("runs/probe/probe-*/result.json")))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["hydra.launcher.partition=debugg"], "no such partition; did you mean debug?"),
        (["hydra.launcher.time=2-00:00:00"], "debug runs jobs for at most 720 minutes"),
        (["hydra.launcher.time=soon"], "hydra.launcher.time=soon: write minutes, or days-hours"),
        (["hydra.launcher.memory=900G"], "--mem=900G --time=240: SLURM could never run"),
        (["hydra.launcher.constraint=a100"], "hydra.launcher.constraint=a100: SLURM could never"),
        (["hydra.launcher.cores=64"], "SLURM could never run such a job"),
        (["trainer.accelerator=gpu"], "--gres=gpu:1"),
        (["trainer.devices=auto"], "trainer.devices=auto: with a launcher it must be a whole"),
    ],
)
def test_what_could_never_run_is_said_at_once(gansfp: Console, words: list[str], says: str) -> None:
    said = gansfp.sweep("probe", *words, status=2)
    assert says in said
    assert not list(gansfp.folder.glob("runs/probe/.jobs"))
    assert slurm("squeue", "-h") == ""


def test_what_is_asked_of_sbatch(gansfp: Console) -> None:
    gansfp.sweep("probe", "seed=0,1", "hydra.launcher.setup=['export GREETING=hello']",
                 "hydra.launcher.environment={OMP_NUM_THREADS: 3}",
                 "hydra.launcher.array_parallelism=1",
                 "hydra.launcher.flags={comment: mine}")  # fmt: skip
    (script,) = gansfp.folder.glob("runs/probe/.jobs/*/slurm/*_submission.sh")
    text = script.read_text()
    for line in ("#SBATCH --array=0-1%1", "#SBATCH --comment=mine", "#SBATCH --requeue",
                 "#SBATCH --signal=USR2@90", "#SBATCH --cpus-per-task=1", "export GREETING=hello",
                 "export OMP_NUM_THREADS=3", "export HF_HUB_OFFLINE=1"):  # fmt: skip
        assert line in text.splitlines()
    assert "gres" not in text
    assert "gpus" not in text


def test_a_waiting_job_reads_no_edited_file(gansfp: Console, tmp_path: Path) -> None:
    """The configuration and the code of a queued job are those of its submission."""
    conf = tmp_path / "conf"
    (conf / "hydra" / "launcher").mkdir(parents=True)
    slurm("scontrol", "update", "PartitionName=debug", "State=DOWN")
    try:
        gansfp.sweep("probe", "seed=7", "hydra.launcher.wait=false")
        (copied,) = gansfp.folder.glob("runs/probe/.code/*/src/gansfp/commands/probe.py")
        (record,) = gansfp.folder.glob("runs/probe/.jobs/*/0000/job.json")
        assert json.loads(record.read_text())["code"] == str(copied.parents[2])
        copied.write_text(copied.read_text() + "\nlog.warning('from the copy')\n")
    finally:
        slurm("scontrol", "update", "PartitionName=debug", "State=UP")
    until(lambda: list(gansfp.folder.glob("runs/probe/probe-*/result.json")))
    (printed,) = gansfp.folder.glob("runs/probe/.jobs/*/slurm/*_log.out")
    until(lambda: "from the copy" in printed.read_text())
