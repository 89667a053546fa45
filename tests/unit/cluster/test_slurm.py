"""What is asked of SLURM, and what is made of its answers; SLURM itself is in tests/slurm."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gansfp.cluster import queue
from gansfp.cluster.request import Request
from gansfp.cluster.resources import Resources, resources
from gansfp.errors import UserError


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({}, Resources(1, 1, 1, 0)),
        ({"accelerator": "auto", "devices": 1}, Resources(1, 1, 1, 0)),
        ({"accelerator": "gpu", "devices": 1}, Resources(1, 1, 1, 1)),
        ({"accelerator": "gpu", "devices": 4, "num_nodes": 2, "strategy": "ddp"},
         Resources(2, 4, 1, 4)),
        ({"accelerator": "gpu", "devices": 2, "strategy": "ddp_spawn"}, Resources(1, 1, 2, 2)),
    ],
)  # fmt: skip
def test_tasks_and_gpus_follow_the_trainer(trainer: dict[str, object], expected: Resources) -> None:
    assert resources(OmegaConf.create({"trainer": trainer})) == expected


@pytest.mark.parametrize(
    "trainer", [{"devices": 2, "strategy": "ddp"}, {"num_nodes": 2, "strategy": "ddp_spawn"}]
)
def test_a_forge_spawns_its_processes(trainer: dict[str, object]) -> None:
    config = OmegaConf.create({"command": "forge", "trainer": trainer})
    with pytest.raises(UserError, match=r"trainer=ddp_spawn; several nodes share one as worker"):
        resources(config)
    config.trainer = {"devices": 2, "strategy": "ddp_spawn"}
    assert resources(config) == Resources(1, 1, 2, 0)


def test_gpus_are_asked_for_if_and_only_if_the_job_has_some() -> None:
    request = Request(gres="gpu:a100:1", memory="16G", time="1:30:00", flags={"exclude": "n7"})
    flags = request.sbatch(Resources(1, 1, 1, 1))
    assert flags["gres"] == "gpu:a100:1"
    assert "gres" not in request.sbatch(Resources(1, 1, 1, 0))
    assert Request().sbatch(Resources(1, 2, 1, 2))["gres"] == "gpu:2"
    assert (flags["time"], flags["mem"], flags["exclude"]) == (90, "16G", "n7")


def test_the_users_lines_come_before_the_code(tmp_path: Path) -> None:
    lines = Request(setup=["module load x"], environment={"A": "b c"}).preamble(tmp_path)
    assert lines[0] == "module load x"
    assert "export A='b c'" in lines
    assert lines[-1] == f"export PYTHONPATH={tmp_path}${{PYTHONPATH:+:$PYTHONPATH}}"


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("1:30:00", 90), ("2-00:00:00", 2880), ("1-12", 2160), ("infinite", None),
     ("30:00", 30), ("0:30", 1), ("1-00:30", 1470)],
)  # fmt: skip
def test_time_limits_as_slurm_writes_them(text: str, minutes: int | None) -> None:
    assert queue.minutes_of(text) == minutes


def test_a_machine_without_slurm_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(UserError, match=r"no sbatch, srun, .* hydra/launcher=local"):
        queue.require_tools()


def answer(monkeypatch: pytest.MonkeyPatch, **answers: tuple[int, str]) -> None:
    def ask(*words: str) -> subprocess.CompletedProcess[str]:
        status, said = answers[words[0]]
        return subprocess.CompletedProcess(words, status, said, said)

    monkeypatch.setattr(queue, "_ask", ask)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


def test_the_queue_is_read_and_silence_is_no_empty_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, squeue=(0, "7_1|PENDING|Resources\n8|RUNNING|None\n"))
    assert queue.waiting_jobs() == {
        "7_1": queue.Waiting("PENDING", "Resources"),
        "8": queue.Waiting("RUNNING", "None"),
    }
    answer(monkeypatch, squeue=(1, "Unable to contact slurm controller"))
    assert queue.waiting_jobs() is None


@pytest.mark.parametrize(
    ("controller", "accounting", "words"),
    [
        ("JobId=7 JobState=OUT_OF_MEMORY Reason=OutOfMemory Dependency=(null) ExitCode=0:125",
         (1, "disabled"), "OUT_OF_MEMORY, OutOfMemory"),
        ("JobId=7 JobState=FAILED Reason=NonZeroExitCode x ExitCode=3:0", (1, ""),
         "FAILED, exit status 3"),
        ("JobId=7 JobState=FAILED Reason=NonZeroExitCode x ExitCode=137:0", (1, ""),
         "FAILED, SIGKILL; out of memory?"),
        ("", (0, "CANCELLED by 0|0:15\n"), "CANCELLED, SIGTERM"),
        ("", (1, "Slurm accounting storage is disabled"),
         "SLURM has forgotten it, and keeps no accounting"),
    ],
)  # fmt: skip
def test_how_a_job_ended(
    monkeypatch: pytest.MonkeyPatch, controller: str, accounting: tuple[int, str], words: str
) -> None:
    answer(monkeypatch, scontrol=(0, controller), sacct=accounting)
    assert queue.how_it_ended("7").words.startswith(words)


@pytest.mark.parametrize("reason", ["PartitionTimeLimit", "BadConstraints", "QOSMaxCpuPerJobLimit"])
def test_reasons_that_waiting_does_not_cure(reason: str) -> None:
    assert queue.NEVER.match(reason)


@pytest.mark.parametrize("reason", ["Resources", "Priority", "BeginTime", "QOSMaxCpuPerUserLimit"])
def test_reasons_that_it_does(reason: str) -> None:
    assert not queue.NEVER.match(reason)
