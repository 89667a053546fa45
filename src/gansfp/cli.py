"""The console script: finds the command, hands the rest to Hydra, words the errors.

Nothing heavy is imported here: `gansfp --help` starts neither Hydra nor torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from gansfp import help as texts
from gansfp.arguments import MULTIRUN, to_hydra
from gansfp.errors import UserError, suggest
from gansfp.jobs import Jobs, SweepFailed
from gansfp.runtime.interrupts import Interrupted, interruptible, leave

JOBS_FAILED = 1  # of a sweep
USAGE_ERROR = 2
RESUMING = frozenset({"train", "ensemble", "forge"})  # they go on where they were stopped


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
    except SweepFailed as error:
        sys.stderr.writelines(f"gansfp: {line}\n" for line in str(error).splitlines())
        sys.exit(JOBS_FAILED)
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
        SweepFailed: Jobs of a sweep failed.
    """
    # Hydra would print and exit by itself; its errors are worded here instead.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    overrides = to_hydra(command, rest)
    sweep = bool(overrides) and overrides[0] in MULTIRUN
    if sweep:
        overrides = import_module("gansfp.deferred").left_to_the_jobs(overrides)
    before = list(sys.argv)
    sys.argv = [argv[0], *overrides]
    jobs = Jobs(command, list(argv), sweep=sweep)
    try:
        import hydra

        hydra.main(version_base="1.3", config_path=str(config_folder()), config_name=command)(
            jobs.run
        )()
    except Exception as error:
        from gansfp.hydra_errors import reword

        worded = reword(error, command, overrides)
        if worded is None:
            if sweep and jobs.all_failed:  # a search that has nothing to choose from
                jobs.conclude()
            raise
        raise worded from error
    finally:
        sys.argv = before
    jobs.conclude()


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
