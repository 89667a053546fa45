"""The jobs of a command line: one, or those of a sweep, whose failures are told at the end."""

from __future__ import annotations

import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from gansfp.errors import UserError
from gansfp.runtime.interrupts import is_interrupt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig

log = logging.getLogger(__name__)


class SweepFailed(Exception):
    """Jobs of a sweep failed; the message has a line for each and one with their number."""


class JobFailed(Exception):
    """A job that ran elsewhere has no result; the message says why, perhaps with its log's tail."""


class Jobs:
    """Runs the jobs of a command line as Hydra hands them over.

    A mistake of the user's is kept until Hydra is done, since Hydra puts lines of its own around
    what a job raises. In a sweep the other jobs go on, also after a fault of the program.

    Args:
        command: The command word.
        argv: The whole command line, which a job sees in `sys.argv`: Lightning starts the other
            processes of a DDP run with it.
        sweep: Whether there may be several jobs.
    """

    def __init__(self, command: str, argv: list[str], *, sweep: bool) -> None:
        self._command = command
        self._argv = argv
        self._sweep = sweep
        self._overrides: list[list[str]] = []
        self._failed: dict[int, Exception] = {}

    def run(self, config: DictConfig) -> Any:
        """Check the configuration of one job and run it."""
        from hydra.core.hydra_config import HydraConfig

        sys.argv = self._argv
        self._overrides.append(list(HydraConfig.get().overrides.task))
        try:
            return run_command_of(config)
        except UserError as error:
            self._keep(error)
        except Exception as error:
            if is_interrupt(error):
                raise KeyboardInterrupt from error  # no job of a sweep goes on
            if not self._sweep:
                raise
            log.exception("job %s failed", self._names()[-1])
            self._keep(error)
        return None

    def record(self, overrides: list[str], error: Exception | None) -> None:
        """Take note of a job that ran elsewhere, in the order of the sweep."""
        self._overrides.append(overrides)
        if error is not None:
            self._keep(error)

    @property
    def all_failed(self) -> bool:
        """No job of the command line has a result."""
        return bool(self._overrides) and len(self._failed) == len(self._overrides)

    def conclude(self) -> None:
        """Raise what went wrong.

        Raises:
            UserError: The one job failed, or a sweep had none.
            SweepFailed: Jobs of a sweep failed.
        """
        if self._sweep and not self._overrides:
            raise UserError("the sweep has no job: its list of choices is empty")
        if not self._failed:
            return
        if not self._sweep:
            raise self._failed[0]
        names = self._names()
        lines = [f"{names[index]}: {_said(error)}" for index, error in self._failed.items()]
        raise SweepFailed(
            "\n".join([*lines, f"{len(self._failed)} of {len(self._overrides)} jobs failed"])
        )

    def _keep(self, error: Exception) -> None:
        self._failed[len(self._overrides) - 1] = error

    def _names(self) -> list[str]:
        return distinct_names(self._overrides)


def run_command_of(config: DictConfig) -> Any:
    """Check a configuration and run its command.

    Raises:
        UserError: The configuration, or what it names, is at fault.
    """
    from gansfp.config import check

    check(config)
    return import_module(f"gansfp.commands.{config.command}").run(config)


def distinct_names(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Name each job of a sweep by the overrides that not all of them share."""
    shared = set.intersection(*map(set, jobs)) if jobs else set()
    return [" ".join(w for w in words if w not in shared) or " ".join(words) for words in jobs]


def _said(error: Exception) -> str:
    return (
        str(error)
        if isinstance(error, (UserError, JobFailed))
        else f"{type(error).__name__}: {error}"
    )
