"""Arrays of SLURM jobs, submitted through submitit, or found in the queue from a launch before."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gansfp.cluster import queue
from gansfp.cluster.frozen import jobs_below
from gansfp.cluster.resources import VOTE, Resources, resources
from gansfp.cluster.watch import Watch
from gansfp.errors import UserError
from gansfp.features import prefetch

if TYPE_CHECKING:
    from pathlib import Path

    from gansfp.cluster.frozen import Job
    from gansfp.cluster.request import Request
    from gansfp.cluster.study import Planned
    from gansfp.jobs import JobFailed

log = logging.getLogger(__name__)


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
