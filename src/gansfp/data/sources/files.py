"""Files below a folder, and libraries that are not always installed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gansfp.data.layout import natural_key
from gansfp.errors import UserError

if TYPE_CHECKING:
    from types import ModuleType


def list_files(folder: Path, pattern: str = "*") -> list[Path]:
    """List the files below a folder in natural order of their relative paths.

    Args:
        folder: Its subfolders are read too; hidden files and folders are not.
        pattern: Only files whose name fits this shell pattern.

    Raises:
        UserError: There is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; source.path names a folder of images")
    found = [(file.relative_to(folder), file) for file in folder.rglob(pattern) if file.is_file()]
    visible = [pair for pair in found if not any(part.startswith(".") for part in pair[0].parts)]
    visible.sort(key=lambda pair: natural_key(pair[0].as_posix()))
    return [file for _, file in visible]


def import_medical(library: str) -> ModuleType:
    """Import a library of the extra `medical`, which is not always installed.

    Raises:
        UserError: It is missing.
    """
    try:
        return import_module(library)
    except ImportError as error:
        raise UserError(f"{library} is not installed: pip install 'gansfp[medical]'") from error
