"""The console script: finds the command, hands the rest to Hydra, words the errors.

Nothing heavy is imported here: `gansfp --help` starts neither Hydra nor torch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gansfp import help as texts
from gansfp.arguments import to_hydra
from gansfp.errors import UserError, suggest

if TYPE_CHECKING:
    from omegaconf import DictConfig

USAGE_ERROR = 2
INTERRUPTED = 130


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
        run_command(command, rest, argv)
    except UserError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.stderr.write("\ngansfp: interrupted; the same command goes on where it was\n")
        sys.exit(INTERRUPTED)


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
    try:
        import hydra

        main_function = hydra.main(
            version_base="1.3", config_path=str(config_folder()), config_name=command
        )
        main_function(_task(command, list(argv)))()
    except Exception as error:
        from gansfp.hydra_errors import reword

        worded = reword(error, command, overrides)
        if worded is None:
            raise
        raise worded from error
    finally:
        sys.argv = before


def _task(command: str, argv: list[str]) -> Callable[[DictConfig], Any]:
    def task(config: DictConfig) -> Any:
        sys.argv = argv
        from gansfp.config import check

        check(config)
        return import_module(f"gansfp.commands.{command}").run(config)

    return task


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
