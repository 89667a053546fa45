"""Saved estimators: one JSON file of plain values, one npz file of arrays, no pickle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_VALUES, _ARRAYS = "method.json", "method.npz"


def save_method(
    folder: Path, kind: str, values: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a fitted method.

    Args:
        folder: Where to; made if need be.
        kind: Name of the method, which `load_method` checks.
        values: What JSON can hold.
        arrays: Numbers and strings; no objects.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"kind": kind, **values}, indent=2)
    (folder / _VALUES).write_text(text + "\n", encoding="utf-8")
    with (folder / _ARRAYS).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_method(folder: Path, kind: str) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `save_method` wrote.

    Raises:
        UserError: There is no saved method of that kind.
    """
    path = folder / _VALUES
    values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if values.pop("kind", None) != kind:
        raise UserError(f"{folder}: no saved {kind} method; has the run finished?")
    with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
        return values, {name: stored[name] for name in stored.files}
