"""What a job does, under either launcher: `python -m gansfp.cluster.job FOLDER`."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansfp.cluster.frozen import Job, load_config
from gansfp.errors import UserError
from gansfp.runtime import settings
from gansfp.runtime.interrupts import Interrupted, interruptible, is_interrupt, leave, undisturbed
from gansfp.runtime.requeue import say_farewell
from gansfp.runtime.run import Run

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

log = logging.getLogger(__name__)

FAILED = 1
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def run_job(folder: Path) -> None:
    """Run a job as it was frozen, and store how it ended.

    Of a job with several tasks all run the command and the first one stores.

    Args:
        folder: Its folder.

    Raises:
        Exception: What the command raised, already logged and stored.
    """
    job = Job.read(folder)
    if job is None:
        raise UserError(f"{folder}: holds no job")
    os.chdir(job.where)
    say: Any = (lambda *_, **__: None) if settings.in_child_process() else job.say
    starts = int(job.state.get("starts", 0)) + 1
    if job.superfluous:
        log.info("not needed: %s has its result", job.unless)
        say("finished", starts=starts, value=None, seconds=0.0)
        return
    began = time.time()
    say("running", starts=starts, pid=os.getpid())
    try:
        value = _run(job)
    except BaseException as error:
        with undisturbed():
            state = "interrupted" if is_interrupt(error) else "failed"
            said = (
                str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            )
            if state == "failed":
                log.exception("%s", said)
            say(state, starts=starts, error=said)
        raise
    say("finished", starts=starts, value=value, seconds=round(time.time() - began, 3))


def _run(job: Job) -> Any:
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import configure_log

    from gansfp.ensembles.stages import Stage, run_stage
    from gansfp.jobs import run_command_of

    config = load_config(job.folder)
    hydra: Any = HydraConfig.get()
    configure_log(hydra.job_logging, hydra.verbose)
    log.info("job %s: gansfp %s %s", job.number, job.command, " ".join(job.overrides))
    stage = Stage.read(job.folder)
    if stage is not None:
        return run_stage(config, stage)
    if (
        job.unless is not None and not settings.in_child_process()
    ):  # the pseudo-labels are written, and with them it has a name
        job.move_to(Run.of(config).folder)
    return run_command_of(config)


class SlurmJob:
    """`run_job` as submitit calls it; after a preemption or a time-out it queues the job again.

    No checkpoint is written when the signal comes: the run goes on from its own last one. Trackers
    are told before, since the requeue ends their processes too.
    """

    def __call__(self, folder: str) -> None:
        """Run the job of a folder."""
        logging.getLogger("submitit").propagate = False  # it has a handler of its own
        run_job(Path(folder))

    def checkpoint(self, folder: str) -> DelayedSubmission:
        """Say what runs after the requeue: the same again."""
        from submitit.helpers import DelayedSubmission

        say_farewell()
        return DelayedSubmission(self, folder)


def main() -> None:
    """Run a job of the local pool; the exit status says whether it finished."""
    _die_with_parent()
    try:
        with interruptible():
            run_job(Path(sys.argv[1]))
    except Interrupted as stop:
        leave(stop)
    except Exception:  # it is in the log and in the state
        sys.exit(FAILED)


def _die_with_parent() -> None:
    """Let a launcher that is killed take its jobs along (Linux); else they would go on unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


if __name__ == "__main__":
    main()
