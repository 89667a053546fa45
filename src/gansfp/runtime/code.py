"""Which code runs: its commit, and what was changed since."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import gansfp
from gansfp.runtime.files import read_json

PARTS = ("src/gansfp", "src/hydra_plugins", "conf")
"""What decides the numbers of a run; other files of a checkout do not count as edits."""

SNAPSHOT = "snapshot.json"
"""In a copy of the code: what it is a copy of."""


@dataclass(frozen=True)
class Code:
    """The state of the code.

    Attributes:
        revision: The commit; None outside a git checkout.
        edited: Files that differ from it, and new ones.
        diff: The change, as git prints it; new files are not in it.
    """

    revision: str | None
    edited: tuple[str, ...] = ()
    diff: str = ""


def running_code() -> Code:
    """Describe the code of this process."""
    return describe(Path(gansfp.__file__).resolve().parents[2])


def describe(checkout: Path) -> Code:
    """Describe a checkout, or the checkout that a copy was taken of."""
    record = read_json(checkout / SNAPSHOT)
    if isinstance(record, dict):
        return Code(record["revision"], tuple(record["edited"]), record["diff"])
    if not (checkout / ".git").exists():
        return Code(None)
    try:
        revision = _git(checkout, "rev-parse", "HEAD").strip()
        changed = _git(checkout, "status", "--porcelain", "--", *PARTS).splitlines()
        diff = _git(checkout, "diff", "HEAD", "--", *PARTS) if changed else ""
    except (OSError, subprocess.SubprocessError):
        return Code(None)
    return Code(revision, tuple(line[3:] for line in changed), diff)


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=30
    ).stdout
