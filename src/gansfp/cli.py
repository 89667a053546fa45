"""The console script: finds the command, hands the rest to Hydra, words the errors.

Nothing heavy is imported here: `gansfp --help` starts neither Hydra nor torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gansfp import help as texts
from gansfp.arguments import MULTIRUN, to_hydra
from gansfp.errors import UserError, suggest
from gansfp.runtime.interrupts import Interrupted, interruptible, leave

if TYPE_CHECKING:
    from omegaconf import DictConfig

USAGE_ERROR = 2
RESUMING = frozenset({"train", "forge"})  # they go on where they were stopped


def main() -> None:
    """Run the console script on `sys.argv`."""
    argv = list(sys.argv)
    arguments = argv[1:]
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        _say(texts.overview())
        return
    if arguments[0] == "--version":
        _say(f"gansfp {import_module('gansfp').__version__}\n")
        return
    command, *rest = arguments
    try:
        if command not in texts.SUMMARY:
            raise UserError(
                f"{command}: no such command{suggest(command, texts.SUMMARY)}"
                " (gansfp --help lists them)"
            )
        if "-h" in rest or "--help" in rest:
            _say(texts.DETAILS[command])
            return
        with interruptible():
            run_command(command, rest, argv)
    except UserError as error:
        _fail(str(error))
    except Interrupted as stop:
        cure = "; the same command resumes" if command in RESUMING else ""
        sys.stderr.write(f"\ngansfp: interrupted{cure}\n")
        leave(stop)


def run_command(command: str, rest: Sequence[str], argv: Sequence[str]) -> None:
    """Compose the configuration of a command and run it.

    Args:
        command: One of the commands.
        rest: What follows it on the command line.
        argv: The whole command line. Hydra parses a translated one; the task sees this again,
            since Lightning starts the other processes of a DDP run with it.

    Raises:
        UserError: The command line or the configuration is at fault.
    """
    # Hydra would print and exit by itself; its errors are worded here instead.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    overrides = to_hydra(command, rest)
    before = list(sys.argv)
    sys.argv = [argv[0], *overrides]
    jobs = _Jobs(command, list(argv))
    try:
        import hydra

        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=command)(
            jobs.run
        )()
    except Exception as error:
        from gansfp.hydra_errors import reword

        worded = reword(error, command, overrides)
        if worded is None:
            raise
        raise worded from error
    finally:
        sys.argv = before
    jobs.conclude(sweep=bool(overrides) and overrides[0] in MULTIRUN)


class _Jobs:
    """The jobs of a command line: one, or those of a sweep.

    A mistake of the user's is kept until Hydra is done, since Hydra puts lines of its own around
    what a job raises; in a sweep the other jobs go on.
    """

    def __init__(self, command: str, argv: list[str]) -> None:
        self._command = command
        self._argv = argv
        self._started = 0
        self._errors: list[UserError] = []

    def run(self, config: DictConfig) -> Any:
        """Check the configuration of one job and run it."""
        from gansfp.config import check

        sys.argv = self._argv
        self._started += 1
        try:
            check(config)
            return import_module(f"gansfp.commands.{self._command}").run(config)
        except UserError as error:
            self._errors.append(error)
            return None

    def conclude(self, *, sweep: bool) -> None:
        """Raise what went wrong.

        Raises:
            UserError: A job failed, or a sweep had none.
        """
        if sweep and not self._started:
            raise UserError("the sweep has no job: its list of choices is empty")
        if len(self._errors) > 1:
            raise UserError(
                f"{len(self._errors)} of {self._started} jobs failed, the first: {self._errors[0]}"
            )
        if self._errors:
            raise self._errors[0]


def config_folder() -> Path:
    """Find `conf/`: inside the package once installed, beside `src/` in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parents[1] / "conf"


def _say(text: str) -> None:
    sys.stdout.write(text)


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"gansfp: {message}\n")
    sys.exit(USAGE_ERROR)


if __name__ == "__main__":
    main()
