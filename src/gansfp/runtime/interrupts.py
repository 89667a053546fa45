"""Ctrl-C and SIGTERM: one way out of a command, whatever a library makes of them."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, NoReturn

# What is replaced is only Python's own way; a job manager's handler is left in charge.
_ORDINARY: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


class Interrupted(KeyboardInterrupt):
    """A command was stopped from outside.

    Attributes:
        exit_status: What a shell expects: 130 after Ctrl-C, 143 after SIGTERM.
    """

    def __init__(self, signum: int = signal.SIGINT) -> None:
        super().__init__(signum)
        self.exit_status = 128 + signum


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end a block at once, as `Interrupted`.

    Lightning turns Ctrl-C into `sys.exit(1)`, and SIGTERM, at the next batch, into a SystemExit
    with status 0. A task never exits by itself, so a SystemExit is an interrupt here.

    Raises:
        Interrupted: A signal came.
    """
    received: list[int] = []

    def note(signum: int, frame: Any) -> None:
        received.append(signum)
        raise KeyboardInterrupt

    with _handled_by(note, ordinary_only=True):
        try:
            yield
        except BaseException as error:
            if not is_interrupt(error):
                raise
            raise Interrupted(received[0] if received else signal.SIGINT) from error


def is_interrupt(error: BaseException | None) -> bool:
    """Tell an interrupt, also where a library failed over one and raised an error of its own."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # chains can be rings
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let a signal wait for the end of a block that must not be torn, such as `torch.save`."""
    waiting: list[int] = []
    try:
        with _handled_by(lambda signum, frame: waiting.append(signum)):
            yield
    finally:
        if waiting:
            signal.raise_signal(waiting[0])


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore both signals for a few last writes: an impatient second Ctrl-C must not tear them."""
    with _handled_by(signal.SIG_IGN):
        yield


def leave(stop: Interrupted) -> NoReturn:
    """Exit; further signals would only break into the exit handlers of the libraries."""
    for signum in _ORDINARY:
        signal.signal(signum, signal.SIG_IGN)
    sys.exit(stop.exit_status)


@contextlib.contextmanager
def _handled_by(handler: Any, *, ordinary_only: bool = False) -> Iterator[None]:
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # others may not set handlers
        for signum, ordinary in _ORDINARY.items():
            present = signal.getsignal(signum)
            if present is not None and (present is ordinary or not ordinary_only):
                before[signum] = signal.signal(signum, handler)
    try:
        yield
    finally:
        for signum, former in before.items():
            signal.signal(signum, former)
