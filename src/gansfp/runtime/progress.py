"""How far a run is, in a small file that others read while it works."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from gansfp.runtime.files import write_json

PROGRESS = "progress.json"


def write_progress(folder: Path, step: int, total: int, rate: float) -> None:
    """Store where a run stands.

    Args:
        folder: Of the run.
        step: Steps done, counting those before a resume.
        total: Steps in all.
        rate: Steps a second since this start; 0 where not known.
    """
    left = (total - step) / rate if rate > 0 else None
    facts = {"step": step, "total": total, "rate": rate, "left": left, "time": time.time()}
    with contextlib.suppress(OSError):  # a full disk must not end the fit here
        write_json(folder / PROGRESS, facts)


def duration(seconds: float) -> str:
    """Write a length of time for people."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02d} min"
        if hours
        else f"{minutes} min {seconds:02d} s"
        if minutes
        else f"{seconds} s"
    )
