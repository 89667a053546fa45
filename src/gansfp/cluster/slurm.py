"""Arrays of SLURM jobs, submitted through submitit and watched until none goes on."""

from __future__ import annotations

import logging
import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gansfp.cluster import queue
from gansfp.cluster.frozen import jobs_below
from gansfp.cluster.resources import VOTE, Resources, resources
from gansfp.cluster.tail import with_tail
from gansfp.errors import UserError
from gansfp.features import prefetch
from gansfp.jobs import JobFailed

if TYPE_CHECKING:
    from pathlib import Path

    from gansfp.cluster.frozen import Job
    from gansfp.cluster.study import Planned

log = logging.getLogger(__name__)

SETTLING = 10.0  # seconds for files to arrive from another machine after a job has left the queue
SILENCE = 900.0  # seconds without an answer of SLURM's after which watching ends
LOST = frozenset({"PREEMPTED", "NODE_FAIL", "BOOT_FAIL"})  # not the job's own fault
RETURNS = 20  # of one such job into the queue
HELD = ("JobHeldUser", "JobHeldAdmin")


@dataclass(frozen=True)
class Request:
    """What a user asks of SLURM for every job; the keys of `hydra/launcher=slurm`.

    Attributes:
        partition: Partitions, separated by commas; None: the default.
        account: Account to charge.
        qos: Quality of service.
        gres: Instead of `gpu:N`, where a kind of GPU is wanted: "gpu:a100:1".
        constraint: Features of a node.
        cores: Of each process.
        memory: Of each node, as SLURM writes it: "16G".
        time: Time limit in minutes, or as SLURM writes it.
        array_parallelism: Jobs of an array at the same time.
        setup: Lines of shell before the job, such as `module load`.
        environment: Variables of the job.
        flags: Further flags of sbatch: {"exclude": "node7"}.
        signal_seconds: How long before its end SLURM warns a job.
        timeouts: How often a job that has run out of time is queued again.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    gres: str | None = None
    constraint: str | None = None
    cores: int = 2
    memory: str | None = None
    time: Any = 240
    array_parallelism: int = 64
    setup: list[str] = field(default_factory=list)
    environment: Mapping[str, Any] | None = None
    flags: Mapping[str, Any] | None = None
    signal_seconds: int = 90
    timeouts: int = 10

    @property
    def minutes(self) -> int:
        """The time limit.

        Raises:
            UserError: It is none.
        """
        minutes = queue.minutes_of(str(self.time))
        if not minutes:
            raise UserError(f"hydra.launcher.time={self.time}: must be a minute or more")
        return minutes

    def sbatch(self, need: Resources) -> dict[str, Any]:
        """Give the flags of sbatch that say what a job needs."""
        asked = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "gres": (self.gres or f"gpu:{need.gpus}") if need.gpus else None,
            "constraint": self.constraint,
            "nodes": need.nodes,
            "ntasks-per-node": need.tasks,
            "cpus-per-task": self.cores * need.cores,
            "mem": self.memory,
            "time": self.minutes,
        }
        return {key: value for key, value in asked.items() if value is not None} | dict(
            self.flags or {}
        )

    def check(self, needs: Sequence[Resources]) -> None:
        """Refuse, before anything is submitted, what this cluster could never run.

        Raises:
            UserError: Names the key.
        """
        queue.require_tools()
        queue.check_partition(self.partition, self.minutes)
        values: dict[str, object] = {
            key: getattr(self, key)
            for key in ("partition", "account", "qos", "gres", "constraint", "memory", "time")
        }
        for need in needs:
            words = [f"--{key}" if value is True else f"--{key}={value}"
                     for key, value in self.sbatch(need).items()]  # fmt: skip
            queue.check_request(words, values)

    def preamble(self, code: Path) -> list[str]:
        """Give the lines of shell before the job; the user's own come first."""
        own = {
            "OMP_NUM_THREADS": self.cores,
            "HF_HUB_OFFLINE": 1,  # weights were fetched before
            **(self.environment or {}),
        }
        exports = [f"export {key}={shlex.quote(str(value))}" for key, value in own.items()]
        path = f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}"
        return [*self.setup, *exports, path]


def submit(
    jobs: Sequence[Job],
    needs: Sequence[Resources],
    request: Request,
    queued: Mapping[str, Job] | None = None,
) -> None:
    """Submit jobs, those with equal needs as one array, and give each its ticket.

    Args:
        jobs: Frozen, each after those that it waits for.
        needs: Of each job.
        request: What the user asked for.
        queued: Jobs of earlier launches that some of these wait for, by identity.

    Raises:
        UserError: SLURM refused.
    """
    known = dict(queued or {}) | {job.identity: job for job in jobs}
    alike: dict[tuple[Path, Path, Resources, tuple[str, ...], str | None], list[Job]] = {}
    for job, need in zip(jobs, needs, strict=True):
        key = (job.folder.parent, job.code, need, tuple(job.needs), job.follows)
        alike.setdefault(key, []).append(job)
    size = queue.largest_array()
    for (launch, code, need, over, follows), members in alike.items():
        there = [known[name] for name in over if name in known]
        after = _dependency(there, known.get(follows or ""))
        for first in range(0, len(members), size):
            _submit_array(members[first : first + size], launch, code, need, request, after)


def _dependency(over: Sequence[Job], follows: Job | None) -> dict[str, str]:
    """Write what jobs wait for as flags of sbatch; where that never comes true they are removed."""
    kinds = [("afterany", over), ("afterok", [follows] if follows else [])]
    parts = [":".join([kind, *(str(job.ticket["slurm"]) for job in jobs)])
             for kind, jobs in kinds if jobs]  # fmt: skip
    return {"dependency": ",".join(parts), "kill-on-invalid-dep": "yes"} if parts else {}


def _submit_array(
    jobs: Sequence[Job],
    launch: Path,
    code: Path,
    need: Resources,
    request: Request,
    after: Mapping[str, str],
) -> None:
    import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    from gansfp.cluster.job import SlurmJob

    folder = launch / "slurm"
    executor = submitit.SlurmExecutor(folder, max_num_timeout=request.timeouts)
    flags = request.sbatch(need)
    executor.update_parameters(
        job_name=f"gansfp-{launch.parent.parent.name}",
        time=flags.pop("time"),
        nodes=flags.pop("nodes"),
        ntasks_per_node=flags.pop("ntasks-per-node"),
        array_parallelism=request.array_parallelism,
        signal_delay_s=request.signal_seconds,
        stderr_to_stdout=True,
        setup=request.preamble(code),
        additional_parameters={"requeue": True, **after, **flags},
    )
    try:
        handles = executor.map_array(SlurmJob(), [str(job.folder) for job in jobs])
    except (FailedJobError, FailedSubmissionError) as error:
        raise UserError(f"hydra/launcher=slurm: sbatch refused: {error}") from error
    for job, handle in zip(jobs, handles, strict=True):
        log_file = folder / f"{handle.job_id}_0_log.out"
        job.hand_out(slurm=handle.job_id, log=str(log_file))
    first = handles[0].job_id.split("_")[0]
    waits = f", {after['dependency']}" if after else ""
    log.info("submitted %d jobs as %s%s; logs in %s", len(jobs), first, waits, folder)


def adopt(plans: Sequence[Planned]) -> dict[str, Job]:
    """Find the jobs of earlier launches that are still in the queue, by identity.

    A launcher that was stopped leaves its jobs there; the same command waits for them again. Jobs
    that wait for one that is not there any more are cancelled: they would not wait for its heir.
    """
    there = queue.waiting_jobs() or {}
    wanted = {plan.identity: plan for plan in plans}
    folders = {plan.study for plan in plans if plan.study.is_dir()}
    found = {
        job.identity: job
        for folder in folders
        for job in jobs_below(folder)
        if job.identity in wanted and job.ticket.get("slurm") in there
    }
    stale = []
    for plan in plans:  # each after those that it waits for
        before = {*plan.needs, *filter(None, [plan.follows])}
        if plan.identity in found and not before <= found.keys():
            stale.append(str(found.pop(plan.identity).ticket["slurm"]))
    if stale:
        queue.cancel(stale)
    return found


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


def _fetch_weights(plans: Sequence[Planned]) -> None:
    """Fetch what comes over the network here: nodes of a cluster often have none."""
    from omegaconf import OmegaConf

    methods = [OmegaConf.to_container(plan.config.method, resolve=True)
               for plan in plans if plan.config.get("method")]  # fmt: skip
    for name, weights in dict.fromkeys(prefetch.weights_asked(methods)):
        if weights == prefetch.ONLINE:
            log.info("fetching the weights of %s", name)
            prefetch.fetch(name, weights)


def run_on_slurm(
    plans: Sequence[Planned], request: Request, *, dirty: bool, wait: bool, poll: float
) -> dict[str, JobFailed]:
    """Submit what is not in the queue yet, and wait for all of it.

    Args:
        plans: Jobs without a result.
        request: What the user asks of SLURM.
        dirty: Also run code that differs from its commit.
        wait: Wait for the end; else only submit.
        poll: Seconds between two looks.

    Returns:
        Why jobs have no result, by identity.

    Raises:
        UserError: The cluster could never run them; then none was submitted.
    """
    from gansfp.cluster.study import freeze

    needs = [VOTE if plan.stage else resources(plan.config) for plan in plans]
    request.check(sorted(set(needs), key=repr))
    adopted = adopt(plans)
    if adopted:
        log.info("%d of them are in the queue already", len(adopted))
    _fetch_weights(plans)
    fresh = [
        (plan, need)
        for plan, need in zip(plans, needs, strict=True)
        if plan.identity not in adopted
    ]
    jobs = list(adopted.values())
    if fresh:
        frozen = freeze([plan for plan, _ in fresh], "slurm", dirty=dirty, queued=adopted)
        submit(frozen, [need for _, need in fresh], request, adopted)
        jobs += frozen
    study = plans[0].study
    if not wait:
        log.info("not waiting: gansfp status %s", study)
        return {}
    log.info("waiting; Ctrl-C leaves the jobs in the queue, and the same command waits again")
    return Watch(jobs, poll).wait()
