"""Run files as the organisers take them: a writer, and a validator with the rules of 2023."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from gansfp.errors import UserError
from gansfp.evaluation.idfile import Entry, image_key, natural_key, read_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

RUN_FILE = "run.csv"


def write_run_file(
    path: Path,
    names: Sequence[str],
    decisions: Sequence[int] | Sequence[str],
    header: Sequence[str] | None = None,
    extension: bool = True,
    zipped: bool = False,
) -> Path:
    """Write one line `image,decision` an image, in natural order of the names, atomically.

    Args:
        path: The CSV file, or the archive that holds it as `run.csv`; folders are made.
        names: Image ids, with or without folder; only the file name is written.
        decisions: 0/1, or class names.
        header: Two column names for a first line; None: no header (the form of 2023 and 2025).
        extension: Write `real_unknown_1.png` rather than `real_unknown_1`.
        zipped: Write a ZIP archive; the suffix becomes `.zip`.

    Returns:
        The file written.

    Raises:
        ValueError: Lengths differ.
    """
    rows = sorted(
        zip((PurePosixPath(name).name for name in names), decisions, strict=True),
        key=lambda row: natural_key(row[0]),
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header is not None:
        writer.writerow(header)
    writer.writerows((name if extension else image_key(name), label) for name, label in rows)
    target = path.with_suffix(".zip") if zipped else path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    if zipped:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(RUN_FILE, text.getvalue())
    else:
        partial.write_text(text.getvalue(), encoding="utf-8")
    partial.replace(target)
    return target


def read_run_file(
    path: Path, task: str, names: Iterable[str], classes: Sequence[str] | None = None
) -> list[str]:
    """Read and validate a run file.

    Args:
        path: The file: two columns, with or without a header.
        task: "membership" (decisions 0/1) or "attribution" (class names; `gen_t1` is `t1`).
        names: The test images, with or without folder and extension.
        classes: Allowed attribution classes.

    Returns:
        The decision for each name, in the order of `names`.

    Raises:
        UserError: An unknown, missing or repeated id, a bad label, a wrong number of columns or an
            empty line; names the line.
    """
    listed = list(names)
    expected = {image_key(name): name for name in listed}
    if len(expected) != len(listed):
        raise UserError(f"{path}: two test images differ only in folder or extension; rename one")
    decided: dict[str, str] = {}
    for entry in read_entries(path, "submission"):
        if entry.key not in expected:
            raise UserError(
                f"{path}, line {entry.line}: {entry.name} is not a test image; remove the line"
            )
        decided[entry.key] = _checked_label(path, entry, task, classes)
    missing = [name for key, name in expected.items() if key not in decided]
    if missing:
        raise UserError(
            f"{path}: {len(missing)} of {len(expected)} test images have no line, the first is "
            f"{missing[0]}; add them after line {len(decided)}"
        )
    return [decided[key] for key in expected]


def _checked_label(path: Path, entry: Entry, task: str, classes: Sequence[str] | None) -> str:
    label = entry.label if task == "membership" else entry.label.removeprefix("gen_")
    allowed = ("0", "1") if task == "membership" else tuple(classes or ())
    if allowed and label not in allowed:
        raise UserError(
            f"{path}, line {entry.line}: bad label {entry.label!r} for {entry.name}; "
            f"expected one of {', '.join(allowed)}"
        )
    return label
