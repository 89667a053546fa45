"""Turns a user's command line into what Hydra's grammar reads as meant."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gansfp.errors import UserError

# Values that are paths: taken literally, whatever signs a name holds.
PATH_KEYS = frozenset(
    {
        "data.root", "data.train_dir", "data.test_dir", "data.groups", "data.cache_dir",
        "data.generated_from", "evaluator.strata",
        "data.folds_file", "data.pseudo_labels", "real", "synthetic", "nonmembers", "canaries",
        "truth", "submission",
        "source.path", "source.groups", "source.root", "groups", "run", "dir", "output",
        "paths.runs", "method.runs", "method.bank", "method.network", "bank", "again",
    }
)  # fmt: skip

# The key of a leading path, `gansfp inspect DIR`.
LEADING_KEY = {
    "inspect": "data.root",
    "train": "data.root",
    "ensemble": "method.runs",
    "predict": "run",
    "forge": "source.path",
    "attack": "bank",
    "report": "dir",
    "status": "dir",
    "reproduce": "run",
}

# Hydra's flags that stay; everything else is key=value.
FLAGS = frozenset({"--cfg", "-c", "--resolve", "--package", "-p"})
EMBEDDED = "embedded:"
"""Begins the name of a benchmark inside the package, where a path could be."""

LAUNCHER = "hydra/launcher="
"""Chosen, it means -m: Hydra asks launchers for sweeps alone, and one job is a sweep of one."""

MULTIRUN = frozenset({"-m", "--multirun"})


def to_hydra(command: str, arguments: Sequence[str]) -> list[str]:
    """Translate the words after a command.

    One leading path becomes its key's value, `bank=8` is written out, `-m` moves to the front (a
    launcher implies it), paths are expanded and quoted, and the user's own config folder joins the
    search path.

    Args:
        command: The command word.
        arguments: What follows it.

    Returns:
        Arguments for Hydra's parser.

    Raises:
        UserError: An unknown flag, or a word that is neither key=value nor a path with a key.
    """
    multirun = [word for word in arguments if word in MULTIRUN]
    if any(word.startswith(LAUNCHER) and word != f"{LAUNCHER}basic" for word in arguments):
        multirun = multirun or ([] if FLAGS & set(arguments) else ["-m"])
    words = [word for word in arguments if word not in MULTIRUN]
    if words and _is_leading_path(words[0]):
        if command not in LEADING_KEY:
            raise UserError(f"{words[0]}: gansfp {command} takes key=value only (see --help)")
        words[0] = f"{LEADING_KEY[command]}={words[0]}"
    translated: list[str] = []
    expects_value = False
    for word in words:
        if command == "forge" and word.startswith("bank=") and not expects_value:
            translated += _bank(word)
            continue
        translated.append(word if expects_value else _translate(command, word))
        expects_value = word in FLAGS and word != "--resolve"
    return [*multirun[:1], *translated, *_search_path(translated)]


def _translate(command: str, word: str) -> str:
    if word in FLAGS:
        return word
    if word.startswith("-"):
        raise UserError(f"{word}: no such flag; gansfp takes key=value (gansfp {command} --help)")
    key, equals, value = word.partition("=")
    if not equals:
        if word.startswith("~"):
            return word  # Hydra's deletion of a key
        raise UserError(f"{word}: write key=value, or put a path directly after `{command}`")
    if key.lstrip("+") in PATH_KEYS and value and value != "null":
        return f"{key}={quote(expand(value))}"
    return word


def _bank(word: str) -> list[str]:
    """Write out `bank=8`: a bank of eight shadow generators (`bank=8,16`: of a sweep)."""
    count = word.removeprefix("bank=")
    if not re.fullmatch(r"[0-9]+(,[0-9]+)*", count):
        raise UserError(f"{word}: give a number of shadow generators, bank=16")
    return ["benchmark=bank", f"benchmark.generators={count}"]


def _is_leading_path(word: str) -> bool:
    """Tell a path from key=value: it has no "=", or its "=" comes after a slash, or it exists."""
    if word.startswith(("-", "+")):
        return False
    head, equals, _ = word.partition("=")
    if word.startswith("~"):
        return "/" in word or word == "~"
    if head.startswith("hydra/") and not Path(word).exists():
        return False  # a config group
    return not equals or "/" in head or Path(word).exists()


def expand(value: str) -> str:
    """Expand `~`, and drop one pair of quotes that a shell left standing."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" and not Path(value).exists():
        value = value[1:-1]
    return str(Path(value).expanduser()) if value.startswith("~") else value


def quote(value: str) -> str:
    """Quote a value so that Hydra's grammar and OmegaConf take every character literally.

    For Hydra a backslash matters before a quote, for OmegaConf before `${`, which starts an
    interpolation: there a run of them is doubled, and one more takes the sign's meaning.
    """
    for_omegaconf = re.sub(r"(\\*)(\$\{)", r"\1\1\\\2", value)
    return "'" + re.sub(r"(\\*)('|\Z)", _escaped, for_omegaconf) + "'"


def _escaped(found: re.Match[str]) -> str:
    backslashes, quote_or_end = found.groups()
    return backslashes * 2 + ("\\'" if quote_or_end else "")


def _search_path(words: Iterable[str]) -> list[str]:
    """Let the user's own configs be found: `$GANSFP_CONF`, else ~/.config/gansfp."""
    if any(word.startswith("hydra.searchpath=") for word in words):
        return []
    named = os.environ.get("GANSFP_CONF")
    folder = Path(named).expanduser() if named else Path("~/.config/gansfp").expanduser()
    if named and not folder.is_dir():
        raise UserError(f"GANSFP_CONF={named}: no such folder")
    return [f"hydra.searchpath=[{quote(f'file://{folder.resolve()}')}]"] if folder.is_dir() else []
