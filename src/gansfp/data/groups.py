"""`groups.csv`: which images belong together (slices of one patient)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from gansfp.data.layout import IMAGE_SUFFIXES, plain_name
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HEADER_FIRST = frozenset({"file", "filename", "name", "image", "path", "sample_id", "id"})
_HEADER_SECOND = frozenset({"group", "patient", "patient_id", "subject", "case"})


def find_group_files(
    groups: str | Path | None, root: str | Path | None, folders: dict[str, Path]
) -> list[tuple[Path, str | None]]:
    """List the group files of a benchmark.

    Args:
        groups: A file named in the config; it alone is read then.
        root: The benchmark's folder, or None.
        folders: The train and the test folder.

    Returns:
        Each file with the split it speaks of (None: all).

    Raises:
        UserError: The file named in the config is missing.
    """
    if groups is not None:
        path = Path(groups).expanduser()
        if not path.is_file():
            raise UserError(f"{path}: no such file; data.groups names a table of file and group")
        return [(path, None)]
    places: list[tuple[Path, str | None]] = [(folders[s] / "groups.csv", s) for s in folders]
    if root is not None:
        places.insert(0, (Path(root).expanduser() / "groups.csv", None))
    return [(path, split) for path, split in places if path.is_file()]


def assign_groups(
    sample_ids: Sequence[str], files: Iterable[tuple[Path, str | None]]
) -> tuple[list[str], list[str]]:
    """Give every image its group; an image that no file lists is a group of its own.

    Names may be bare (`img_1`), with an extension, and with leading folders as far as they are
    needed to be unique (`real_used/img_1.png`).

    Args:
        sample_ids: `<split>/<role>[/<class>]/<file name>` of every image.
        files: From `find_group_files`.

    Returns:
        The groups in the order of `sample_ids`, and one line for each problem.
    """
    groups = list(sample_ids)
    given: dict[int, str] = {}
    problems: list[str] = []
    sources = list(files)
    rows_of = _lookup(sample_ids) if sources else {}
    for path, split in sources:
        unknown: list[str] = []
        ambiguous: list[str] = []
        repeated: list[str] = []
        for name, group in _read_pairs(path):
            rows = rows_of.get(_key(name), [])
            rows = [r for r in rows if split is None or sample_ids[r].startswith(f"{split}/")]
            if len(rows) != 1:
                (ambiguous if rows else unknown).append(name)
            elif given.setdefault(rows[0], group) != group:
                repeated.append(name)
            else:
                groups[rows[0]] = group
        problems += _tell(path, unknown, "not images of this benchmark; correct or remove them")
        problems += _tell(path, ambiguous, "name several images; write the folder before the name")
        problems += _tell(path, repeated, "have two different groups; keep one")
    return groups, problems


def _tell(path: Path, names: list[str], what: str) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return [f"{path}: {', '.join(names[:5])}{more}: {what}"]


def _read_pairs(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable CSV file ({error}); save it as UTF-8") from error
    if rows and len(rows[0]) == 2:
        first, second = (cell.casefold() for cell in rows[0])
        if first in _HEADER_FIRST or second in _HEADER_SECOND:
            rows = rows[1:]
    for row in rows:
        if len(row) != 2 or not all(row):
            raise UserError(f"{path}: line {','.join(row)!r} must hold a file and a group")
    return [(row[0], row[1]) for row in rows]


def _key(name: str) -> str:
    """Folders without case and separators, the file name without its extension."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts:
        return ""
    stem, dot, suffix = parts[-1].rpartition(".")
    file = stem if dot and f".{suffix.lower()}" in IMAGE_SUFFIXES else parts[-1]
    folders = [_plain_folder(part) for part in parts[:-1]]
    return "/".join([*folders, file])


def _plain_folder(name: str) -> str:
    plain = plain_name(name)
    is_class = plain.startswith("gen") and not plain.startswith("generated")
    return plain.removeprefix("gen") if is_class else plain


def _lookup(sample_ids: Sequence[str]) -> dict[str, list[int]]:
    """Rows by every ending of their sample id."""
    rows_of: dict[str, list[int]] = {}
    for row, sample_id in enumerate(sample_ids):
        parts = _key(sample_id).split("/")
        for start in range(len(parts)):
            rows_of.setdefault("/".join(parts[start:]), []).append(row)
    return rows_of
