"""Where a forge works: a partial folder that becomes the benchmark in one rename."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path
from typing import Any

from gansfp.errors import UserError
from gansfp.runtime.claims import Claim
from gansfp.runtime.files import read_json, write_json
from gansfp.runtime.run import make_writable

log = logging.getLogger(__name__)

CARD = "card.json"
REQUEST = "request.json"


class Workspace:
    """The folders of one forge.

    Attributes:
        output: Where the finished benchmark will be.
        work: Beside it, `<output>.partial`: checkpoints, sample blocks, unfinished files.
        request: What is forged (config and hash of the images): decides what may be resumed.
    """

    def __init__(self, output: Path, request: dict[str, Any]) -> None:
        self.output = output
        self.work = output.with_name(f"{output.name}.partial")
        self.request = request

    @property
    def is_finished(self) -> bool:
        """The output is there and was forged with this very request.

        Raises:
            UserError: It holds something else.
        """
        if not self.output.exists():
            return False
        if not self.output.is_dir() or not any(self.output.iterdir()):
            return False
        card = read_json(self.output / CARD)
        if not isinstance(card, dict) or "request" not in card:
            raise UserError(
                f"{self.output}: holds something that was not forged; output=FOLDER names another"
            )
        _refuse_other(self.output, card["request"], self.request)
        return True

    def generator(self, name: str) -> Path:
        """Name the working folder of a generator."""
        return self.work / "generators" / name

    def move_aside(self) -> None:
        """Move finished and unfinished work out of the way."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for folder in (self.output, self.work):
            if folder.exists():
                with Claim(folder):  # never from under somebody's feet
                    aside = folder.with_name(f"{folder.name}.old-{stamp}")
                    folder.rename(aside)
                    (aside / "claim.json").unlink(missing_ok=True)
                log.info("force: moved %s to %s", folder, aside)

    def begin(self) -> None:
        """Make the partial folder, or find it as it was begun.

        Raises:
            UserError: It cannot be written, or was begun with another request.
        """
        make_writable(self.work)
        begun = read_json(self.work / REQUEST)
        if begun is None:
            write_json(self.work / REQUEST, self.request)
        else:
            _refuse_other(self.work, begun, self.request)
            log.info("resuming %s", self.work)

    def claim(self, folder: Path) -> Claim:
        """Claim a folder of this forge: a generator's, or `work` itself to write the files."""
        folder.mkdir(parents=True, exist_ok=True)
        return Claim(folder)

    def empty_benchmark(self) -> Path:
        """Make the folder that the files are written to; what a kill left there is removed."""
        folder = self.work / "benchmark"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def publish(self, card: dict[str, Any]) -> None:
        """Store the card, and let the whole benchmark appear at its place in one step."""
        write_json(self.work / "benchmark" / CARD, {**card, "request": self.request})
        if self.output.exists():
            self.output.rmdir()  # is_finished has seen that it is empty
        (self.work / "benchmark").rename(self.output)

    def clean(self) -> None:
        """Remove the partial folder of a finished benchmark."""
        shutil.rmtree(self.work, ignore_errors=True)


def _refuse_other(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    before, now = _flat(old), _flat(new)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise UserError(
                f"{folder}: forged with {key}={before.get(key)}, now it is {now.get(key)}; "
                "force=true moves the old one aside, output=FOLDER names another"
            )


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {path: node}
    return {k: v for key in node for k, v in _flat(node[key], f"{path}.{key}".lstrip(".")).items()}
