"""The trackers of one run, from before its fit until after its result."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hydra.errors import InstantiationException
from lightning.pytorch.loggers.logger import Logger
from omegaconf import OmegaConf

from gansfp import build
from gansfp.errors import UserError
from gansfp.runtime.interrupts import is_interrupt, undisturbed
from gansfp.runtime.requeue import before_requeue
from gansfp.trackers.base import Ending, Tracker, metrics_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gansfp.runtime.run import Run

log = logging.getLogger(__name__)


def build_loggers(config: DictConfig, run: Run) -> list[Logger]:
    """Build the loggers of a run, and tell each what it asks and the config leaves open.

    Offered are `save_dir`, `id` (the same after a requeue), `name`, `group` (the study), `tags`
    and `composed` (the configuration, flat: a nested one would be built too).

    Raises:
        UserError: A node is no logger, or its package is missing.
    """
    facts = {
        "save_dir": str(run.folder.absolute()),
        "id": run.tracker,
        "name": run.folder.name,
        "group": str(config.study),
        "tags": [str(config.task), str(config.experiment_name), f"seed {config.seed}"],
        "composed": flat(OmegaConf.to_container(config, resolve=True)),
        "store": f"{config.paths.runs}/mlruns",
    }
    loggers = []
    for key, node in (config.logger or {}).items():
        if not node:
            continue
        try:
            made = build.instantiate(node, **build.accepted(node, facts))
        except InstantiationException as error:
            if isinstance(error.__cause__, ModuleNotFoundError):
                raise UserError(
                    f"logger.{key}: its package is not installed: pip install 'gansfp[trackers]', "
                    "or another logger="
                ) from error
            raise
        if not isinstance(made, Logger):
            raise UserError(f"logger.{key}: {type(made).__name__} is no Lightning logger")
        loggers.append(made)
    return loggers


def flat(node: Any, path: str = "") -> dict[str, Any]:
    """Name every value of a configuration by its whole key; lists become text."""
    if isinstance(node, dict) and node:
        return {
            k: v for key in node for k, v in flat(node[key], f"{path}.{key}".lstrip(".")).items()
        }
    return {path: json.dumps(node) if isinstance(node, (list, dict)) else node}


@contextlib.contextmanager
def tracked(config: DictConfig, run: Run) -> Iterator[Session]:
    """Hold the trackers of a run for a block of work, and tell them how it ended."""
    session = Session(build_loggers(config, run), run)
    try:
        with before_requeue(lambda: session.conclude("interrupted")):
            yield session
    except BaseException as error:
        with undisturbed():
            if is_interrupt(error):
                run.status("interrupted")  # at once: a tracker takes seconds, a kill may follow
            session.conclude("interrupted" if is_interrupt(error) else "failed")
        raise
    session.conclude("finished")


class Session:
    """The loggers of a run that is under way.

    Attributes:
        loggers: For the Trainer.
    """

    def __init__(self, loggers: list[Logger], run: Run) -> None:
        self.loggers = loggers
        self._run = run
        self._concluded = False

    def log_outcome(self, result: Mapping[str, Any]) -> None:
        """Store what came out."""
        for one in self.loggers:
            if isinstance(one, Tracker):
                self._guarded(one.log_outcome, self._run, result)
            else:
                self._guarded(one.log_metrics, metrics_of(result))

    def conclude(self, ending: Ending) -> None:
        """Tell each logger how the run ended; what is said first holds."""
        if self._concluded:
            return
        self._concluded = True
        for one in self.loggers:
            if isinstance(one, Tracker):
                self._guarded(one.conclude, ending)
            else:
                self._guarded(one.finalize, "success" if ending == "finished" else "failed")

    def _guarded(self, work: Callable[..., None], *words: Any) -> None:
        """A tracker that fails must not take a finished result with it."""
        try:
            work(*words)
        except Exception:
            log.warning("%s failed; the run goes on", work.__qualname__, exc_info=True)
