"""Last words before a job goes back into its queue, which ends all its processes at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

PATIENCE = 30.0  # seconds; of the 90 that a job is warned before its end
_farewells: list[Callable[[], None]] = []


@contextlib.contextmanager
def before_requeue(call: Callable[[], None]) -> Iterator[None]:
    """Have something called, within the block, when the job is about to be queued again."""
    _farewells.append(call)
    try:
        yield
    finally:
        _farewells.remove(call)


def say_farewell() -> None:
    """Call what is to be called, and wait for it a while.

    This runs inside a signal handler: the main thread may hold the very lock that a call needs.
    Hence a thread that is not waited for for ever.
    """
    thread = threading.Thread(target=_call_all, args=(list(_farewells),), daemon=True)
    thread.start()
    thread.join(PATIENCE)


def _call_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()
