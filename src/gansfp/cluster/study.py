"""The jobs of one launch: composed and checked, frozen, and read back from their run folders."""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansfp.cluster.frozen import JOBS, Job
from gansfp.cluster.snapshot import take_snapshot
from gansfp.ensembles.composing import without_hydra
from gansfp.ensembles.members import pin_recipes
from gansfp.errors import UserError
from gansfp.evaluation.result import objective_of
from gansfp.jobs import Jobs, distinct_names
from gansfp.runtime import settings
from gansfp.runtime.claims import process_start
from gansfp.runtime.files import write_json
from gansfp.runtime.run import Run, move_aside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext
    from omegaconf import DictConfig

    from gansfp.ensembles.stages import Stage

log = logging.getLogger(__name__)

LAUNCH = "launch.json"
IN_RUN_FOLDERS = frozenset({"train", "ensemble", "probe"})
COMMANDS = ("train", "ensemble", "forge", "probe")
CODE = ".code"
"""Beside `JOBS`: the copies of the code."""


@dataclass(frozen=True)
class Planned:
    """A job of the sweep before anything is decided about it.

    Attributes:
        config: Composed, with `hydra` in it.
        overrides: As Hydra lists them.
        run: The folder that it writes.
        identity: Equal for two jobs that are the same piece of work.
        needs: Jobs, by identity, that are over before this one starts, however they ended.
        follows: The job that has to have succeeded.
        unless: A run whose result makes this job superfluous.
        stage: What the job does of an ensemble; None: a whole command.
        of: The ensemble that it is a vote of.
    """

    config: DictConfig
    overrides: list[str]
    run: Path
    identity: str
    needs: tuple[str, ...] = ()
    follows: str | None = None
    unless: Path | None = None
    stage: Stage | None = None
    of: str | None = None

    @property
    def waits(self) -> bool:
        """Other jobs come first."""
        return self.stage is not None or self.follows is not None

    @property
    def study(self) -> Path:
        """The folder of the launch: beside run folders, and the output of a forge."""
        if self.config.command in IN_RUN_FOLDERS:
            return Path(str(self.config.paths.runs)) / str(self.config.study)
        return self.run.parent

    @property
    def finished(self) -> bool:
        """The result is there, and is to stay."""
        return (
            str(self.config.command) in IN_RUN_FOLDERS
            and not self.config.force
            and Run(self.run).result is not None
        )


def compose(
    hydra_context: HydraContext, config: DictConfig, jobs: Sequence[Sequence[str]], first: int
) -> list[Planned]:
    """Compose and check every job of a sweep before any of them starts.

    Args:
        hydra_context: Hydra's.
        config: The sweep's own configuration.
        jobs: The overrides of each job.
        first: Number of the first one.

    Raises:
        UserError: The configuration of a job is at fault, or the command takes no launcher.
    """
    from hydra.core.utils import setup_globals
    from omegaconf import open_dict

    setup_globals()
    plans = []
    for number, overrides in enumerate(jobs, start=first):
        whole = hydra_context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(whole):
            whole.hydra.job.id = str(number)
            whole.hydra.job.num = number
        plans.append(planned(whole))
    return plans


@contextmanager
def hydra_answers_for(config: DictConfig) -> Iterator[None]:
    """Let Hydra's look-ups answer for a job, within a block."""
    from hydra.core.hydra_config import HydraConfig

    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


def planned(
    whole: DictConfig, *, run: Path | None = None, words: Sequence[str] | None = None
) -> Planned:
    """Check the configuration of a job, and find what it writes.

    Args:
        whole: Composed, with `hydra` in it.
        run: Its run folder, where that is known; None: as its configuration says.
        words: Its overrides; None: as Hydra lists them.

    Raises:
        UserError: The configuration is at fault, or the command takes no launcher.
    """
    from omegaconf import OmegaConf, open_dict, read_write

    from gansfp.config import check

    if whole.command not in COMMANDS:
        raise UserError(
            f"gansfp {whole.command}: takes no launcher; hydra/launcher goes with "
            f"{', '.join(COMMANDS)}"
        )
    with hydra_answers_for(whole):
        check(without_hydra(whole))
        if whole.command not in IN_RUN_FOLDERS:
            run = Path(str(whole.output)).expanduser()
        elif run is None:
            settings.name_experiment(whole)
            pin_recipes(whole)
            run = Run.of(without_hydra(whole)).folder
        if words is None:
            words = [str(one) for one in OmegaConf.to_container(whole.hydra.overrides.task) or ()]
        with read_write(whole.hydra), open_dict(whole.hydra):
            whole.hydra.runtime.output_dir = str(Path(str(whole.hydra.sweep.dir)).absolute())
    own = whole.command in IN_RUN_FOLDERS
    identity = str(run) if own else f"{run}, worker {whole.worker}"
    return Planned(whole, list(words), run, identity)


def freeze(
    plans: Sequence[Planned], launcher: str, *, dirty: bool, queued: Mapping[str, Job] | None = None
) -> list[Job]:
    """Write the folder of each job, and copy the code that they will run.

    Args:
        plans: What is to run.
        launcher: "local" or "slurm".
        dirty: Also run code that differs from its commit.
        queued: Jobs of earlier launches that some of these wait for, by identity.

    Raises:
        UserError: The checkout was edited, and `dirty` is false.
    """
    from gansfp.cluster.staging import with_jobs

    launch = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
    names = distinct_names([plan.overrides for plan in plans])
    studies = dict.fromkeys(plan.study for plan in plans)
    codes = {study: take_snapshot(study / CODE, dirty=dirty) for study in studies}
    folders = {identity: job.folder for identity, job in (queued or {}).items()}
    jobs = []
    for number, (plan, name) in enumerate(zip(plans, names, strict=True)):
        study = plan.study
        _force_now(plan)
        folder = (study / JOBS / launch / f"{number:04d}").absolute()
        if not folder.parent.exists():
            folder.parent.mkdir(parents=True)
            write_json(folder.parent / LAUNCH, {"launcher": launcher, **_this_process()})
        vote = f" (vote {plan.stage.round})" if plan.stage else ""
        job = Job(folder, number, str(plan.config.command), name + vote, plan.overrides, plan.run,
                  plan.identity, Path.cwd(), codes[study], launcher, list(plan.needs),
                  plan.follows, plan.unless)  # fmt: skip
        with hydra_answers_for(plan.config):
            job.write(plan.config)
        folders[plan.identity] = folder
        if plan.stage is not None:
            with_jobs(plan.stage, folders).write(folder)
        jobs.append(job)
    return jobs


def _force_now(plan: Planned) -> None:
    """Move an older run aside before the job is queued: a requeued job must find its own work."""
    if not plan.config.force:
        return
    if plan.config.command not in IN_RUN_FOLDERS:
        raise UserError(
            f"force=true: gansfp {plan.config.command} takes it without a launcher alone; "
            f"move {plan.run} away, or name another output"
        )
    if plan.run.exists():
        move_aside(plan.run)
    plan.config.force = False


def _this_process() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
    }


def conclude(
    record: Jobs, plans: Sequence[Planned], failures: Mapping[str, Exception]
) -> list[JobReturn]:
    """Tell Hydra and the command line how every job of the sweep ended.

    Args:
        record: Keeps what failed, for the end of the command.
        plans: All jobs, also those that were finished before.
        failures: Why a job has no result, by its identity.

    Returns:
        What Hydra's sweepers read: the objective of each job, None where it has none.
    """
    from hydra.core.utils import JobReturn, JobStatus

    returns = []
    for plan in plans:
        value, error = None, failures.get(plan.identity)
        if error is None:
            try:
                value = _value(plan)
            except UserError as lacking:
                error = lacking
        record.record(plan.overrides, error)
        done = JobReturn(overrides=plan.overrides, cfg=plan.config, status=JobStatus.COMPLETED)
        done.return_value = value
        returns.append(done)
    return returns


def _value(plan: Planned) -> float | None:
    """Read what a search maximises; probes and forges have no such number."""
    result = Run(plan.run).result
    if plan.config.command not in ("train", "ensemble") or result is None:
        return None
    return objective_of(result, plan.config.objective)
