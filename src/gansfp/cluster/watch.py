"""Watches jobs of SLURM until none goes on, however they end."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gansfp.cluster import queue
from gansfp.cluster.tail import with_tail
from gansfp.jobs import JobFailed

if TYPE_CHECKING:
    from gansfp.cluster.frozen import Job

log = logging.getLogger(__name__)

SETTLING = 10.0  # seconds for files to arrive from another machine after a job has left the queue
SILENCE = 900.0  # seconds without an answer of SLURM's after which watching ends
LOST = frozenset({"PREEMPTED", "NODE_FAIL", "BOOT_FAIL"})  # not the job's own fault
RETURNS = 20  # of one such job into the queue
HELD = ("JobHeldUser", "JobHeldAdmin")


class Watch:
    """Waits for jobs; returns when none goes on, however they ended.

    Args:
        jobs: Submitted ones.
        poll: Seconds between two looks.
    """

    def __init__(self, jobs: Sequence[Job], poll: float) -> None:
        self._open = {str(job.ticket["slurm"]): job for job in jobs}
        self._total = len(self._open)
        self._poll = poll
        self._failed: dict[str, JobFailed] = {}
        self._gone: dict[str, float] = {}
        self._returns: Counter[str] = Counter()
        self._answered = time.monotonic()
        self._told: set[str] = set()

    def wait(self) -> dict[str, JobFailed]:
        """Wait; say why jobs have no result, by identity."""
        while self._open:
            there = queue.waiting_jobs()
            if there is not None:
                self._answered = time.monotonic()
                self._look(there)
                self._tell(there)
            elif time.monotonic() - self._answered > SILENCE:
                for job in list(self._open):
                    self._fail(job, "SLURM has not answered for a while; the job may still run")
            if self._open:
                time.sleep(self._poll)
        return self._failed

    def _look(self, there: dict[str, queue.Waiting]) -> None:
        for number, job in list(self._open.items()):
            present = there.get(number)
            if present is not None:
                self._gone.pop(number, None)
                if present.state == "PENDING" and queue.NEVER.match(present.reason):
                    queue.cancel([number])
                    self._fail(number, f"SLURM would never run it: {present.reason}")
            elif job.state.get("state") in ("finished", "failed"):
                self._settle(number)
            elif time.monotonic() - self._gone.setdefault(number, time.monotonic()) > SETTLING:
                self._vanished(number)

    def _settle(self, number: str) -> None:
        job = self._open[number]
        if job.state["state"] == "failed":
            self._fail(number, str(job.state.get("error")), silent=False)
        else:
            del self._open[number]

    def _vanished(self, number: str) -> None:
        """A job has left the queue without a word: see why, and put it back where that helps."""
        end = queue.how_it_ended(number)
        not_started = self._open[number].not_started
        if self._open[number].result is not None:
            del self._open[number]
        elif not_started is not None and end.state == "CANCELLED":
            self._open[number].say("died", error=not_started, starts=0)
            self._fail(number, not_started, silent=False)
        elif end.state in LOST and self._returns[number] < RETURNS and queue.requeue(number):
            self._returns[number] += 1
            del self._gone[number]
            log.info("%s: %s, queued again", self._open[number].name, end.state)
        else:
            self._fail(number, f"died without a word: {end.words}")

    def _fail(self, number: str, reason: str, *, silent: bool = True) -> None:
        job = self._open.pop(number)
        log.info("failed: %s", job.name)
        if silent:
            job.say("died", error=reason, starts=job.state.get("starts", 0))
        self._failed[job.identity] = JobFailed(with_tail(reason, job) if silent else reason)

    def _tell(self, there: dict[str, queue.Waiting]) -> None:
        """Say how many wait and run, whenever that has changed."""
        present = [there[number] for number in self._open if number in there]
        waiting = [job for job in present if job.state == "PENDING"]
        done = self._total - len(self._open)
        line = f"{done}/{self._total} done, {len(present) - len(waiting)} running"
        if waiting:
            reasons = Counter(job.reason for job in waiting)
            why = sorted(reason for reason in reasons if reason != "None")
            line += f", {len(waiting)} waiting" + (f" ({', '.join(why)})" if why else "")
            if any(reason in HELD for reason in reasons):
                line += "; scontrol release JOB lets a held one go"
        if line not in self._told:
            self._told.add(line)
            log.info("%s", line)
