"""A pool of child processes on this machine; GPUs and processor cores are dealt out."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from gansfp.cluster.tail import with_tail
from gansfp.errors import UserError
from gansfp.jobs import JobFailed

if TYPE_CHECKING:
    from gansfp.cluster.frozen import Job

log = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds that a stopped job has for its last writes
LOOK = 0.05  # seconds between two looks at the children
CORES_A_JOB = 2  # where nobody says how many jobs at once


@dataclass(frozen=True)
class Shares:
    """What the jobs of a pool get.

    Attributes:
        workers: Jobs at the same time.
        threads: Threads of each.
        gpus: The GPUs of each worker, as CUDA_VISIBLE_DEVICES names them.
    """

    workers: int
    threads: int
    gpus: list[str]

    @classmethod
    def deal(
        cls, jobs: int, *, workers: int | None, threads: int | None, gpus: int, needed: bool
    ) -> Shares:
        """Deal this machine out.

        Args:
            jobs: Number of jobs.
            workers: Jobs at the same time; None: as many as there are GPUs for, or a job for every
                two cores.
            threads: Threads of each; None: an equal share of the cores.
            gpus: GPUs of each job.
            needed: The jobs cannot do without a GPU.

        Raises:
            UserError: There are not enough GPUs, or a number makes no sense.
        """
        for key, value in (("workers", workers), ("threads", threads)):
            if value is not None and value < 1:
                raise UserError(f"hydra.launcher.{key}={value}: must be 1 or more")
        there = visible_gpus()
        hands = [",".join(there[i : i + gpus]) for i in range(0, len(there) - gpus + 1, gpus)]
        if needed and not hands:
            raise UserError(
                f"trainer.accelerator=gpu trainer.devices={gpus}: this machine has {len(there)} "
                "GPUs; trainer=cpu, or hydra/launcher=slurm"
            )
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        at_once = workers or (len(hands) or max(1, cores // CORES_A_JOB))
        if hands and at_once > len(hands):
            raise UserError(
                f"hydra.launcher.workers={at_once}: there are GPUs for {len(hands)}; two jobs on "
                "one GPU would slow each other down and may run out of memory"
            )
        at_once = min(at_once, jobs)
        return cls(at_once, threads or max(1, cores // at_once), hands[:at_once] or [""] * at_once)


def visible_gpus() -> list[str]:
    """List the GPUs that this process may use, without importing torch."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        return listed.stdout.split()
    return []


def run_pool(jobs: Sequence[Job], shares: Shares) -> dict[int, JobFailed]:
    """Run the jobs, so many at a time, each in a process of its own.

    Args:
        jobs: In the order in which they start, as soon as those that they wait for are over.
        shares: What each gets.

    Returns:
        Why a job has no result, by its number.
    """
    line, failed = Line(jobs), dict[int, JobFailed]()
    free = list(range(shares.workers))
    with _children() as running:
        while line.waiting or running:
            for job in line.give_up():
                failed[job.number] = JobFailed(str(job.state.get("error")))
                log.info("[%d/%d] not started %s", job.number + 1, len(jobs), job.name)
            while free and (ready := line.next()) is not None:
                job, hand = ready, free.pop(0)
                running[hand] = job, _start(job, shares, shares.gpus[hand])
                log.info("[%d/%d] started   %s", job.number + 1, len(jobs), job.name)
            for hand, (job, child) in list(running.items()):
                if child.poll() is None:
                    continue
                del running[hand]
                free.append(hand)
                error = verdict(job, child.returncode)
                line.ended(job, error is None)
                if error is not None:
                    failed[job.number] = error
                how = "failed" if error is not None else "finished"
                took = time.time() - job.ticket["started"]
                log.info("[%d/%d] %-9s %s (%.1f s)", job.number + 1, len(jobs), how, job.name, took)
            time.sleep(LOOK)
    return failed


class Line:
    """Jobs that wait for a place, and for other jobs of the line.

    Args:
        jobs: In the order in which they start.

    Attributes:
        waiting: Those that have not started.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.waiting = list(jobs)
        self._there = {job.identity for job in jobs}
        self._over: dict[str, bool] = {}

    def next(self) -> Job | None:
        """Take the first job that waits for no other."""
        for job in self.waiting:
            before = {*job.needs, *filter(None, [job.follows])} & self._there
            if before <= self._over.keys():
                self.waiting.remove(job)
                return job
        return None

    def ended(self, job: Job, well: bool) -> None:
        """Take note of the end of a job."""
        self._over[job.identity] = well

    def give_up(self) -> Iterator[Job]:
        """Take the jobs that will never start, and say so in their state."""
        for job in list(self.waiting):
            if job.follows is not None and self._over.get(job.follows) is False:
                self.waiting.remove(job)
                job.say("died", error=job.not_started, starts=0)
                self.ended(job, False)
                yield job


def verdict(job: Job, status: int) -> JobFailed | None:
    """Say how a child ended; None: it did what it was to do."""
    state = job.state.get("state")
    if status == 0 and state == "finished":
        return None
    if state == "failed":
        reason = str(job.state.get("error"))
    elif status < 0:
        name = signal.Signals(-status).name
        hint = "; out of memory?" if name == "SIGKILL" else ""
        reason = f"died without a word: {name}{hint}"
    else:
        reason = f"died without a word: exit status {status}"
    if state != "failed":
        job.say("died", error=reason, starts=job.state.get("starts", 0))
    return JobFailed(reason if state == "failed" else with_tail(reason, job))


Children = dict[int, tuple["Job", subprocess.Popen[bytes]]]


@contextlib.contextmanager
def _children() -> Iterator[Children]:
    """Hold the running children; whatever ends the pool ends them too."""
    running: Children = {}
    try:
        yield running
    finally:
        children = [child for _, child in running.values()]
        for child in children:
            child.terminate()
        end = time.monotonic() + PATIENCE
        for child in children:
            try:
                child.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def _start(job: Job, shares: Shares, gpus: str) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(filter(None, [str(job.code), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {
        "PYTHONPATH": path,
        "OMP_NUM_THREADS": str(shares.threads),
        "CUDA_VISIBLE_DEVICES": gpus,
        "PYTHONUNBUFFERED": "1",
    }
    log_file: IO[bytes]
    with (job.folder / "log.txt").open("ab") as log_file:
        child = subprocess.Popen(
            [sys.executable, "-m", "gansfp.cluster.job", str(job.folder)],
            cwd=job.where, env=environment, stdin=subprocess.DEVNULL, stdout=log_file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    job.hand_out(pid=child.pid, started=time.time(), log=str(log_file.name))
    return child
