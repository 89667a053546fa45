"""Pseudo-labels: decided labels of test images, read from a file, that a fit learns from.

Lee, "Pseudo-label: the simple and efficient semi-supervised learning method for deep neural
networks", ICML workshop 2013. A result that learnt from them looked at test images: it is
transductive.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gansfp.data.benchmark import MEMBER_LABELS, Benchmark
from gansfp.data.index import Index
from gansfp.errors import UserError
from gansfp.tables import read_table, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

COLUMNS = ("sample_id", "label")
TRAIN_ROLE = {
    "attribution": {},
    "membership": {"used": "real_used", "not_used": "real_not_used"},
}
"""Role that a test image takes with a label; attribution: "generated", whatever the label."""


def write_pseudo_labels(labels: pd.DataFrame, path: Path) -> None:
    """Write `sample_id` and `label`, ordered by sample id, so that equal labels are equal files."""
    ordered = labels.loc[:, list(COLUMNS)].sort_values("sample_id", ignore_index=True)
    write_table(ordered, path)


def read_pseudo_labels(path: Path) -> pd.DataFrame:
    """Read `sample_id` and `label` (a class, or `used` and `not_used`).

    Raises:
        UserError: The file is missing, has other columns, or names an image twice.
    """
    frame = read_table(path)
    if not set(COLUMNS) <= set(frame.columns):
        raise UserError(f"data.pseudo_labels={path}: it needs the columns sample_id, label")
    frame = frame.loc[:, list(COLUMNS)].astype(str)
    if frame["sample_id"].duplicated().any():
        twice = frame.loc[frame["sample_id"].duplicated(), "sample_id"].iloc[0]
        raise UserError(f"data.pseudo_labels={path}: {twice} is there twice")
    return frame


def content_hash(path: Path) -> str:
    """Hash what a file says, wherever it lies and in whatever order and format: 16 hex digits."""
    frame = read_pseudo_labels(path).sort_values("sample_id")
    return hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()[:16]


def pseudo_rows(benchmark: Benchmark, path: Path) -> NDArray[np.int64]:
    """Find the test images that a file labels, ascending.

    Raises:
        UserError: It names something else, or a label that the task does not have.
    """
    frame = read_pseudo_labels(path)
    candidates = benchmark.candidates("test")
    position = dict(
        zip(benchmark.index.frame["sample_id"].iloc[candidates], candidates, strict=True)
    )
    strangers = [name for name in frame["sample_id"] if name not in position]
    if strangers:
        raise UserError(f"data.pseudo_labels={path}: {strangers[0]} is no test image here")
    known = benchmark.classes or MEMBER_LABELS
    odd = [label for label in frame["label"] if label not in known]
    if odd:
        raise UserError(f"data.pseudo_labels={path}: {odd[0]} is none of {', '.join(known)}")
    return np.sort(np.array([position[name] for name in frame["sample_id"]], dtype=np.int64))


def with_pseudo_labels(benchmark: Benchmark, path: Path) -> Benchmark:
    """Let a benchmark show its pseudo-labelled test images as labelled training images.

    Rows stay where they are and pixels are shared; only split, role and label of the test images
    that the file names differ.
    """
    rows = pseudo_rows(benchmark, path)
    given = read_pseudo_labels(path)
    label_of = dict(zip(given["sample_id"], given["label"], strict=True))
    frame = benchmark.index.frame.copy()
    labels = [label_of[name] for name in frame["sample_id"].iloc[rows]]
    role_of = TRAIN_ROLE[benchmark.task]
    changes = {
        "split": ["train"] * len(rows),
        "role": [role_of.get(label, "generated") for label in labels],
        "label": labels,
    }
    for column, values in changes.items():
        known = frame[column].to_numpy(dtype=object).copy()
        known[rows] = values
        frame[column] = pd.Series(known, index=frame.index, dtype=object)
    return replace(benchmark, index=Index(frame))
