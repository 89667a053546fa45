"""Allocator settings that keep CPU activations from page-faulting."""

from __future__ import annotations

import ctypes
import functools
import logging
import sys

logger = logging.getLogger(__name__)

# Parameter numbers of glibc's <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_LARGEST_THRESHOLD = 32 << 20  # glibc takes no larger one


@functools.cache
def tune_allocator() -> bool:
    """Let glibc keep freed memory, once a process: convolutions on CPU run 1.5 to 2 times faster.

    By default glibc maps and unmaps every large buffer, so that each activation is page-faulted in
    anew. The cost is a few hundred MB of memory that is kept.

    Returns:
        Whether the setting took effect; False on platforms without glibc, where nothing happens.
    """
    return _set((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 256 << 20))


@functools.cache
def keep_small_buffers() -> bool:
    """Let glibc keep freed buffers of up to 32 MB, once a process; larger ones go back at once.

    For networks whose results are kept batch by batch: between results that stay, `tune_allocator`
    would leave holes that no later activation fits in, GB of them.

    Returns:
        As `tune_allocator`.
    """
    threshold = (_M_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
    return _set(threshold, (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 << 20))


def _set(*settings: tuple[int, int]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has no mallopt
        return False
    done = all(mallopt(name, value) == 1 for name, value in settings)
    logger.debug("allocator tuned: %s", done)
    return done
