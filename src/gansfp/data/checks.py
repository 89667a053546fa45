"""What makes a benchmark unusable: every problem as a line that names the files and the cure."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gansfp.data.images import ImageRecord
    from gansfp.data.layout import Task

LABELLED_ROLES = {
    "membership": ("real_used", "real_not_used"),
    "attribution": ("generated", "real"),
}
UNKNOWN_ROLE = {"membership": "real_unknown", "attribution": "generated_unknown"}
SHOWN = 5


def listing(names: Iterable[str], shown: int = SHOWN) -> str:
    """The first names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - shown} more" if len(every) > shown else ""
    return ", ".join(every[:shown]) + more


def check_records(records: Sequence[ImageRecord]) -> list[str]:
    """Report the files that cannot be read, all of them in one line."""
    errors = [record.error for record in records if record.error]
    if len(errors) < 2:
        return errors
    return [f"{len(errors)} images cannot be used: {listing(errors)}"]


def check_index(frame: pd.DataFrame, task: Task, resized: bool) -> list[str]:
    """Report what is wrong with readable images.

    Args:
        frame: The rows of an `Index`.
        task: Says which roles carry labels.
        resized: Every image is scaled to one size, so that sizes may differ.

    Returns:
        One line for each problem; empty for a sound benchmark.
    """
    problems = [] if resized else _mixed_sizes(frame)
    if task == "membership":
        problems += _used_and_not_used(frame)
    return problems + _labelled_test_images(frame, task) + _equal_stems(frame, task)


def duplicates_within_roles(frame: pd.DataFrame) -> pd.DataFrame:
    """Count images whose pixels another image of the same split and role already has.

    Returns:
        Columns `split`, `role`, `copies`, and `example` (two sample ids); only rows with copies.
    """
    keys = ["split", "role", "pixel_hash"]
    repeated = frame[frame.duplicated(keys, keep=False)].copy()
    repeated["copy"] = repeated.duplicated(keys)
    found = [
        {
            "split": split,
            "role": role,
            "copies": int(part["copy"].sum()),
            "example": " = ".join(
                part.loc[part["pixel_hash"] == part["pixel_hash"].iloc[0], "sample_id"].head(2)
            ),
        }
        for (split, role), part in repeated.groupby(["split", "role"], sort=False)
    ]
    return pd.DataFrame(found, columns=["split", "role", "copies", "example"])


def _mixed_sizes(frame: pd.DataFrame) -> list[str]:
    sizes = frame.groupby(["width", "height"])["path"].agg(["size", "first"])
    if len(sizes) < 2:
        return []
    common = sizes.sort_values("size", ascending=False)
    examples = [
        f"{int(n)} of {width} x {height} ({first})"
        for (width, height), n, first in zip(
            common.index, common["size"], common["first"], strict=True
        )
    ]
    return [f"images of different sizes: {listing(examples)}; set data.resize=SIDE or remove them"]


def _used_and_not_used(frame: pd.DataFrame) -> list[str]:
    pairs = _shared(frame[frame["role"] == "real_used"], frame[frame["role"] == "real_not_used"])
    return _refuse(pairs, "both in real_used and in real_not_used")


def _labelled_test_images(frame: pd.DataFrame, task: Task) -> list[str]:
    labelled = frame[(frame["split"] == "train") & frame["role"].isin(LABELLED_ROLES[task])]
    pairs = _shared(labelled, frame[frame["role"] == UNKNOWN_ROLE[task]])
    return _refuse(pairs, "labelled images that are also test images")


def _shared(left: pd.DataFrame, right: pd.DataFrame) -> list[str]:
    """Name the pictures that lie on both sides, by their pixels."""
    columns = ["pixel_hash", "path"]
    merged = left[columns].merge(right[columns].drop_duplicates("pixel_hash"), on="pixel_hash")
    return [f"{a} = {b}" for a, b in zip(merged["path_x"], merged["path_y"], strict=True)]


def _refuse(pairs: list[str], what: str) -> list[str]:
    if not pairs:
        return []
    return [f"{len(pairs)} pictures are {what}: {listing(pairs)}; remove one of each"]


def _equal_stems(frame: pd.DataFrame, task: Task) -> list[str]:
    """Find test images that a run file, which names images by their stem, could not tell apart."""
    test = frame.loc[frame["role"] == UNKNOWN_ROLE[task], "path"]
    stems = pd.Series([PurePath(path).stem for path in test], index=test.index, dtype=object)
    repeated = test[stems.duplicated(keep=False)]
    if repeated.empty:
        return []
    return [f"test images that differ only in their extension: {listing(repeated)}; rename them"]
