"""Every benchmark that was forged beside this one: a leak that took many tries is no surprise."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

TRIES = "tries.jsonl"


def earlier_tries(output: Path, task: str, images: str) -> list[dict[str, Any]]:
    """List the forges in the same parent folder of the same images and kind, oldest first.

    Args:
        output: The benchmark that is being written.
        task: Its kind.
        images: Fingerprint of the real images.
    """
    return [line for line in _read(output) if line["task"] == task and line["images"] == images]


def record_try(output: Path, card: dict[str, Any]) -> None:
    """Append a finished forge to `tries.jsonl` in its parent folder, unless it is there.

    Args:
        output: The finished benchmark.
        card: Its card.
    """
    request = card["request"]
    if any(line["output"] == output.name and line["request"] == request for line in _read(output)):
        return
    line = {
        "output": output.name,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "task": card["task"],
        "images": request["images"],
        "leak": {name: facts.get("leak") for name, facts in card["generators"].items()},
        "request": request,
    }
    text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
    # One write to a file open for appending: lines of two forges do not mix.
    stream = os.open(output.parent / TRIES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(stream, text.encode())
    finally:
        os.close(stream)


def _read(output: Path) -> list[dict[str, Any]]:
    """Read all whole lines; one that a kill cut short is passed over."""
    try:
        lines = (output.parent / TRIES).read_text("utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and {"output", "task", "images", "request"} <= entry.keys():
            found.append(entry)
    return found
