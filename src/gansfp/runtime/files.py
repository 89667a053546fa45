"""Small JSON files that a reader sees whole or not at all."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Write JSON in one atomic step; numbers that are not finite are refused (ValueError)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    partial.write_text(
        json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
    )
    partial.replace(path)


def read_json(path: Path) -> Any:
    """Read JSON; None where there is no such file or it is not JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
