"""Where every run and every job below a folder stands, read from files and from SLURM's queue."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gansfp.cluster import queue
from gansfp.cluster.frozen import Job, jobs_below
from gansfp.cluster.study import LAUNCH
from gansfp.runtime.claims import claim_stands, process_start
from gansfp.runtime.files import read_json
from gansfp.runtime.progress import PROGRESS, duration

ORDER = ("running", "waiting", "interrupted", "failed", "finished")
CURES = {
    "interrupted": "the same command resumes it",
    "failed": "the same command tries again",
}
MOVED_ASIDE = ".old-"


@dataclass(frozen=True)
class Standing:
    """Where a run stands.

    Attributes:
        name: Its folder, from the one that was asked about.
        state: One of `ORDER`.
        starts: How often it was started; more than once: it was resumed.
        done: Part of its steps; None where it has not said.
        left: Seconds that it needs still; None where not known.
        note: Why it waits, failed, or who runs it.
    """

    name: str
    state: str
    starts: int = 0
    done: float | None = None
    left: float | None = None
    note: str = ""

    @property
    def progress(self) -> str:
        """The part that is done, in per cent, where that says anything."""
        return f"{self.done:.0%}" if self.done is not None and self.state != "finished" else ""

    @property
    def time_left(self) -> str:
        """How long it still runs."""
        return duration(self.left) if self.state == "running" and self.left is not None else ""


def standings(folder: Path) -> list[Standing]:
    """Read where all runs and jobs below a folder stand.

    Args:
        folder: A study, or several.

    Returns:
        In the order of `ORDER`, then by name.
    """
    jobs = {(job.where / job.run).resolve(): job for job in jobs_below(folder)}  # the latest wins
    runs = {path.parent.resolve() for path in folder.rglob("status.json")}
    slurm = _slurm_jobs(list(jobs.values()))
    found = [
        _standing(run, jobs.get(run), slurm, folder.resolve())
        for run in sorted(runs | jobs.keys())
        if MOVED_ASIDE not in run.name
    ]
    return sorted(found, key=lambda one: (ORDER.index(one.state), one.name))


def _slurm_jobs(jobs: list[Job]) -> dict[str, queue.Waiting] | None:
    """Ask SLURM, if any job is its own and without a result; None: there is no answer."""
    asked = any("slurm" in job.ticket and job.result is None for job in jobs)
    if not asked or shutil.which("squeue") is None:
        return None
    return queue.waiting_jobs()


def _standing(
    run: Path, job: Job | None, slurm: dict[str, queue.Waiting] | None, root: Path
) -> Standing:
    status = read_json(run / "status.json") or {}
    state, note = _state(run, status, job, slurm)
    done, left = _progress(run)
    name = str(run.relative_to(root)) if run.is_relative_to(root) else str(run)
    return Standing(name, state, int(status.get("starts", 0)), done, left, note)


def _state(
    run: Path, status: dict[str, Any], job: Job | None, slurm: dict[str, queue.Waiting] | None
) -> tuple[str, str]:
    if (run / "result.json").exists():
        return "finished", ""
    if status.get("state") == "running" and claim_stands(run):
        return "running", _holder(run)
    if job is not None:
        waiting = _waiting(job, slurm)
        if waiting is not None:
            return waiting
        if job.superfluous:
            return "finished", "no further round was needed"
        started = bool(job.state.get("starts"))
        if status.get("state") == "failed" and not started:  # what an earlier stage said
            return "failed", _first_line(status.get("error"))
        if job.state.get("state") in ("failed", "died"):
            return "failed", _first_line(job.state.get("error"))
        if job.not_started and "slurm" in job.ticket and slurm is not None:
            return "failed", job.not_started
        if not job.state and not status:
            return "interrupted", f"never started; {CURES['interrupted']}"
        if "slurm" in job.ticket and slurm is not None:
            return "failed", f"died without a word: {queue.how_it_ended(job.ticket['slurm']).words}"
    if status.get("state") == "failed":
        return "failed", _first_line(status.get("error"))
    if status.get("state") == "running":
        return "interrupted", f"its process is gone; {CURES['interrupted']}"
    return "interrupted", CURES["interrupted"]


def _waiting(job: Job, slurm: dict[str, queue.Waiting] | None) -> tuple[str, str] | None:
    """Tell whether a job is still to start: with SLURM, or in the pool of a living launcher."""
    number = job.ticket.get("slurm")
    if number is not None:
        if slurm is None or number not in slurm:
            return None
        present = slurm[number]
        if present.state != "PENDING":
            return "running", f"SLURM job {number}, {present.state.lower()}"
        why = f", {present.reason}" if present.reason not in ("None", "") else ""
        return "waiting", f"SLURM job {number}{why}"
    if job.launcher == "slurm" or job.state:
        return None
    return ("waiting", "local pool") if _launcher_lives(job) else None


def _launcher_lives(job: Job) -> bool:
    launch = read_json(job.folder.parent / LAUNCH) or {}
    if launch.get("host") != socket.gethostname():
        return False
    return process_start(int(launch["pid"])) == launch.get("started")


def _holder(run: Path) -> str:
    holder = read_json(run / "claim.json") or {}
    job = holder.get("slurm_job_id")
    return f"on {holder.get('host')}" + (f", SLURM job {job}" if job else "")


def _progress(run: Path) -> tuple[float | None, float | None]:
    """Read the part that is done, and the seconds that are left as of now."""
    facts = read_json(run / PROGRESS)
    if not isinstance(facts, dict) or not facts.get("total"):
        return None, None
    left = facts.get("left")
    if left is not None:
        left = max(0.0, left - (time.time() - facts["time"]))
    return facts["step"] / facts["total"], left


def _first_line(text: object) -> str:
    return str(text or "").strip().split("\n")[0]


def counts(found: list[Standing]) -> Iterator[tuple[str, int]]:
    """Count the states, and how many runs were resumed."""
    for state in ORDER:
        number = sum(one.state == state for one in found)
        if number:
            yield state, number
    resumed = sum(one.starts > 1 for one in found)
    if resumed:
        yield "resumed", resumed
