"""Runs the members of an ensemble that are missing, one after another in this process."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gansfp.ensembles.composing import own_hydra, search_path_words
from gansfp.ensembles.stages import POLL_SECONDS, present_stage
from gansfp.errors import UserError
from gansfp.jobs import Jobs, SweepFailed
from gansfp.runtime.claims import claim_stands

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gansfp.ensembles.members import Member

log = logging.getLogger(__name__)


def launch(members: Sequence[Member]) -> None:
    """Run the members that are not finished.

    Under `hydra/launcher` they are jobs instead (`gansfp.ensembles.stages`). A member that another
    process is at work on is waited for.

    Raises:
        UserError: A member failed.
    """
    missing = _unfinished(members)
    log.info("%d members, %d of them to run", len(members), len(missing))
    while missing:
        free = [member for member in missing if not claim_stands(member.run.folder)]
        if free:
            _launch(free)
        else:
            log.info("waiting for %s, which is run elsewhere", missing[0].run.folder)
            time.sleep(POLL_SECONDS)
        missing = _unfinished(missing)


def _launch(members: Sequence[Member]) -> None:
    jobs = Jobs("train", list(sys.argv), sweep=True)
    with _same_log_handlers():
        _launcher(jobs).launch([list(member.words) for member in members], 0)
    failures: SweepFailed | None = None
    try:
        jobs.conclude()
    except SweepFailed as failed:
        failures = failed
    left = [m.run.folder for m in _unfinished(members) if not claim_stands(m.run.folder)]
    if left:
        said = failures or f"{left[0]}: no result"
        raise UserError(f"members failed; the same command goes on with them\n{said}") from failures


def _unfinished(members: Sequence[Member]) -> list[Member]:
    return [member for member in members if member.run.result is None]


def refuse_script_ddp(config: DictConfig) -> None:
    """Refuse members whose Trainer would start further processes by this command line.

    Each of these would run the whole ensemble again.

    Raises:
        UserError: Names the cures.
    """
    trainer = config.trainer
    several = trainer.get("devices") not in (1, "1", None) or trainer.num_nodes > 1
    if several and "spawn" not in str(trainer.strategy) and present_stage() is None:
        raise UserError(
            f"trainer.devices={trainer.devices}: an ensemble runs its members in this process; "
            "take trainer=ddp_spawn, or hydra/launcher=local or slurm, where each is a job"
        )


def _launcher(jobs: Jobs) -> Any:
    from hydra._internal.callbacks import Callbacks
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext, RunMode

    hydra = own_hydra()
    sweep = hydra.compose_config("train", search_path_words(), RunMode.MULTIRUN, False, False)
    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(sweep))
    return Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=jobs.run, config=sweep
    )


@contextmanager
def _same_log_handlers() -> Iterator[None]:
    """Put the handlers of the log back, which Hydra sets anew for each job."""
    root = logging.getLogger()
    before = list(root.handlers)
    try:
        yield
    finally:
        root.handlers[:] = before
