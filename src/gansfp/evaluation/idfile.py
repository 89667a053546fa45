"""Two-column files of image ids and labels: the common ground of truth and run files."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".dcm", ".npy"}
)
ID_HEADERS = frozenset(
    [
        "id",
        "image",
        "image_id",
        "image_path",
        "image_name",
        "file",
        "filename",
        "file_name",
        "name",
        "path",
        "sample",
        "sample_id",
        "figure_id",
        "original_image",
    ]
)
LABEL_HEADERS = frozenset(
    [
        "label",
        "labels",
        "class",
        "predicted_class",
        "prediction",
        "predicted",
        "truth",
        "target",
        "score",
        "decision",
        "subset",
        "membership",
    ]
)


@dataclass(frozen=True)
class Entry:
    """One line of such a file.

    Attributes:
        line: Its number, from 1.
        name: The id as written, spaces around it removed.
        label: The label as written, spaces around it removed.
    """

    line: int
    name: str
    label: str

    @property
    def key(self) -> str:
        """The id that files are matched by."""
        return image_key(self.name)


def image_key(name: str) -> str:
    """Reduce an image id to its file name without folder and image extension."""
    path = PurePosixPath(name.strip().replace("\\", "/"))
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts `real_2` before `real_10`."""
    return tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in re.split(r"([0-9]+)", name)
        if part
    )


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names naturally."""
    return sorted(names, key=natural_key)


def read_entries(path: Path, what: str) -> list[Entry]:
    """Read a two-column file, with or without a header.

    Args:
        path: The file.
        what: What it is, for messages: "truth" or "submission".

    Raises:
        UserError: The file is missing, not text or empty; a line is empty or has not two columns;
            an id is repeated.
    """
    entries = [_entry(path, number, line) for number, line in enumerate(_lines(path, what), 1)]
    if entries and _is_header(entries[0]):
        entries = entries[1:]
    if not entries:
        raise UserError(f"{path}: the {what} is empty; expected a line 'image,label' an image")
    seen: dict[str, Entry] = {}
    for entry in entries:
        first = seen.setdefault(entry.key, entry)
        if first is not entry:
            raise UserError(
                f"{path}, line {entry.line}: {entry.name} is already on line {first.line}; "
                "keep one of them"
            )
    return entries


def _lines(path: Path, what: str) -> list[str]:
    if path.is_dir():
        raise UserError(f"{path}: is a folder; {what} must be a CSV file")
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {what}=PATH names the {what} file") from error
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not a readable text file ({error})") from error


def _entry(path: Path, number: int, line: str) -> Entry:
    if not line.strip():
        raise UserError(f"{path}, line {number}: empty line; remove it")
    tokens = [token.strip() for token in next(csv.reader([line], skipinitialspace=True))]
    if len(tokens) != 2:
        columns = "column" if len(tokens) == 1 else "columns"
        raise UserError(
            f"{path}, line {number}: {len(tokens)} {columns}; expected two, 'image,label'"
        )
    if not all(tokens):
        raise UserError(f"{path}, line {number}: an empty column; expected 'image,label'")
    return Entry(number, *tokens)


def _is_header(entry: Entry) -> bool:
    return entry.name.lower() in ID_HEADERS or entry.label.lower() in LABEL_HEADERS
