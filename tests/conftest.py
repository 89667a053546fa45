"""What every test starts from: nothing of the user's home or environment."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# A home of its own for each test would have matplotlib list the fonts again and again.
os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / "gansfp-matplotlib"))


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.delenv("GANSFP_CONF", raising=False)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run the test inside an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _wandb_blocks(data: bytes) -> Iterator[bytes]:
    """Read the records of wandb's offline file, a log in the format of LevelDB.

    A header of 7 bytes, then blocks of 32 KiB; a record begins with checksum (4), length (2) and
    kind (1: whole; 2, 3, 4: first, middle, last part), and leaves fewer than 7 bytes of a block.
    """
    place, parts = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length = int.from_bytes(data[place + 4 : place + 6], "little")
        kind = data[place + 6]
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b""


@pytest.fixture
def wandb_endings() -> Callable[[Path], list[tuple[str, int | None, bool]]]:
    """Read every offline file of a run: its id, its exit status, and whether it was preempted."""
    from wandb.proto import wandb_internal_pb2

    def read(run: Path) -> list[tuple[str, int | None, bool]]:
        found = []
        for path in sorted(run.glob("wandb/offline-run-*/run-*.wandb")):
            number, status, preempted = "", None, False
            for block in _wandb_blocks(path.read_bytes()):
                record = wandb_internal_pb2.Record.FromString(block)
                kind = record.WhichOneof("record_type")
                number = record.run.run_id if kind == "run" else number
                status = record.exit.exit_code if kind == "exit" else status
                preempted |= kind == "preempting"
            found.append((number, status, preempted))
        return found

    return read
