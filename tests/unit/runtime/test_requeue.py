"""Last words before a requeue: said, and never waited for for ever."""

from __future__ import annotations

import threading
import time

import pytest

from gansfp.runtime import requeue


def test_what_is_to_be_called_is_called_within_the_block_alone() -> None:
    said: list[str] = []
    with requeue.before_requeue(lambda: said.append("inside")):
        requeue.say_farewell()
    requeue.say_farewell()
    assert said == ["inside"]


def test_a_lock_of_the_interrupted_thread_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requeue, "PATIENCE", 0.1)
    lock = threading.Lock()
    start = time.monotonic()
    with lock, requeue.before_requeue(lambda: lock.acquire() and lock.release()):
        requeue.say_farewell()
    assert time.monotonic() - start < 5
