"""Keeps the cache of decoded pixels below a size: the least recently used entries go first."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from gansfp.errors import UserError

log = logging.getLogger(__name__)

LIMIT = "GANSFP_CACHE_GB"
DEFAULT_GB = 20.0
# A fit may have mapped an entry for as long as it lasts, on another machine too.
SPARED_SECONDS = 7 * 24 * 3600.0


def limit_bytes() -> float:
    """Read the size limit from `$GANSFP_CACHE_GB`, in bytes.

    Raises:
        UserError: It is no number, or negative.
    """
    given = os.environ.get(LIMIT) or DEFAULT_GB
    try:
        value = float(given)
    except ValueError:
        value = -1.0
    if not value >= 0:
        raise UserError(f"{LIMIT}={given}: must be a number of gigabytes, such as {DEFAULT_GB:g}")
    return value * 1e9


def mark_used(entry: Path) -> None:
    """Note that an entry was used now; a cache that cannot be written is left as it is."""
    with contextlib.suppress(OSError):
        os.utime(entry)


def prune(base: Path) -> None:
    """Remove entries until the cache fits its limit, least recently used first.

    Only entries that nobody has used for a week are removed, so that the cache may stay above the
    limit; half-written ones that a kill left a week ago go in any case. An entry disappears in one
    step: a reader finds it whole or not at all.

    Args:
        base: The folder of entries, each a folder.
    """
    now, limit = time.time(), limit_bytes()
    entries = sorted(_entries(base), key=lambda item: item[1])
    total = sum(size for _, _, size in entries)
    for entry, used, size in entries:
        if now - used < SPARED_SECONDS:
            return  # the rest was used later still
        if total > limit or entry.name.startswith("."):
            _remove(entry)
            total -= size
            log.info("%s: removed from the cache, unused for a week", entry)


def _entries(base: Path) -> Iterator[tuple[Path, float, int]]:
    """Yield folder, time of last use and bytes of each entry; others may remove some meanwhile."""
    for entry in base.iterdir():
        with contextlib.suppress(OSError):
            if entry.is_dir():
                size = sum(file.stat().st_size for file in entry.iterdir())
                yield entry, entry.stat().st_mtime, size


def _remove(entry: Path) -> None:
    doomed = entry.with_name(f".{entry.name.lstrip('.')}.{uuid.uuid4().hex}.tmp")
    with contextlib.suppress(OSError):
        entry.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)
