"""The end of a job's log, for the one who must find out why it died."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gansfp.cluster.frozen import Job


def with_tail(reason: str, job: Job) -> str:
    """Add where the log is, and its last lines."""
    lines = job.tail()
    where = f"{reason} ({job.log}{', empty' if not lines else ''})"
    return "\n".join([where, *(f"  | {line}" for line in lines)])
