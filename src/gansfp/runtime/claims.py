"""A claim on a folder: one process works there, and a dead one's place can be taken."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gansfp.errors import UserError
from gansfp.runtime.files import read_json, write_json
from gansfp.runtime.interrupts import undisturbed

CLAIM = "claim.json"
HEARTBEAT_SECONDS = 30.0
STALE_SECONDS = 600.0
RUNNING = frozenset({"RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING", "STOPPED"})  # of SLURM


class InUseError(UserError):
    """Somebody alive holds the folder."""


class Claim:
    """Hold a folder for the length of a `with` block.

    No file locks: they do not work on many shared file systems. The claim is a file that names its
    holder and whose modification time is the heartbeat.

    Args:
        folder: What to claim; it must exist.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / CLAIM
        self._token = uuid.uuid4().hex
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="claim heartbeat")

    def __enter__(self) -> Self:
        """Take the claim.

        Raises:
            InUseError: Somebody alive holds it; the message names them.
        """
        mine = self.path.with_name(f".{CLAIM}.{self._token}")
        write_json(mine, _identity(self._token))
        try:
            self._take(mine)
        finally:
            mine.unlink(missing_ok=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the claim back, unless somebody took it over meanwhile."""
        with undisturbed():
            self._stop.set()
            self._thread.join()
            if self._is_mine():
                self.path.unlink(missing_ok=True)

    def _take(self, mine: Path) -> None:
        try:
            _create(mine, self.path)
        except FileExistsError:
            holder = read_json(self.path) or {}
            if _is_alive(holder, self.path):
                who = (
                    f"process {holder['pid']} on {holder.get('host')}"
                    if "pid" in holder
                    else "a process"
                )
                raise InUseError(
                    f"{self.path.parent}: {who} is at work here; wait for it, or stop it and start "
                    "again"
                ) from None
            mine.replace(self.path)
            time.sleep(0.05)  # two heirs: the later rename wins, and the other one sees it here
            if not self._is_mine():
                raise InUseError(
                    f"{self.path.parent}: another process took this folder over"
                ) from None

    def _is_mine(self) -> bool:
        return (read_json(self.path) or {}).get("token") == self._token

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                if self._is_mine():
                    os.utime(self.path)


def _create(source: Path, target: Path) -> None:
    """Let a file appear where there is none, as a copy of `source`.

    A hard link does so whole and at once. Where the file system has none, an exclusive creation
    does, and for a moment a reader finds it empty: to `_is_alive` a young claim of nobody's.

    Raises:
        FileExistsError: There is a file.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        with target.open("xb") as stream:
            stream.write(source.read_bytes())


def _identity(token: str) -> dict[str, Any]:
    return {
        "token": token,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": process_start(os.getpid()),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
    }


def claim_stands(folder: Path) -> bool:
    """Tell whether somebody alive is at work in a folder."""
    path = folder / CLAIM
    return path.exists() and _is_alive(read_json(path) or {}, path)


def _is_alive(holder: dict[str, Any], path: Path) -> bool:
    """Decide whether a claim still stands.

    It falls if its process is gone from this host (or its number now belongs to another process);
    for a holder elsewhere, if it is our own SLURM job's (a requeue), if SLURM says that its job
    does not run any more, or if its heartbeat is ten minutes old.
    """
    if holder.get("host") == socket.gethostname() and isinstance(holder.get("pid"), int):
        started = process_start(holder["pid"])
        return started is not None and started == holder.get("started")
    job = holder.get("slurm_job_id")
    if job is not None and (job == os.environ.get("SLURM_JOB_ID") or _slurm_ended(str(job))):
        return False
    try:
        return time.time() - path.stat().st_mtime < STALE_SECONDS
    except FileNotFoundError:
        return False


def _slurm_ended(job: str) -> bool:
    """Tell whether SLURM, where it answers, says that a job is over or back in the queue."""
    if shutil.which("scontrol") is None:
        return False
    try:
        done = subprocess.run(["scontrol", "show", "job", "-o", job], capture_output=True,
                              text=True, timeout=20)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    state = re.search(r"JobState=(\w+)", done.stdout)
    return state is not None and state.group(1) not in RUNNING


def process_start(pid: int) -> str | None:
    """Read when a process started, in clock ticks since boot; None if it is gone.

    A process number alone is reused; with its start time it names one process. Where /proc does
    not exist, a living process has the start time "unknown".
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return "unknown" if not Path("/proc/self").exists() and _exists(pid) else None
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state == "Z" else rest[18]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
