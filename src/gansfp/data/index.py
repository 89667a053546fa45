"""The index: one row for each image of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gansfp.data.images import ImageRecord
    from gansfp.data.layout import ImageFile

COLUMNS = (
    "sample_id",
    "path",
    "split",
    "role",
    "label",
    "group",
    "width",
    "height",
    "mode",
    "pixel_hash",
)


@dataclass(frozen=True)
class Index:
    """What is known of every image but its pixels.

    Attributes:
        frame: One row an image, columns `sample_id` (unique), `path`, `split` ("train" or "test"),
            `role`, `label` (None where unknown), `group` (the sample id where unknown), `width` and
            `height` (pixels in the file), `mode` (colour type in the file), `pixel_hash`.
    """

    frame: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frame)


def build_index(
    files: Sequence[ImageFile], records: Sequence[ImageRecord], groups: Sequence[str]
) -> Index:
    """Join what folders, pixels and group files say, row by row.

    Args:
        files: Where each image lies and what it is.
        records: What its file holds, in the same order.
        groups: Its group, in the same order.
    """
    columns: dict[str, object] = {
        "sample_id": [file.sample_id for file in files],
        "path": [str(file.path) for file in files],
        "split": [file.split for file in files],
        "role": [file.role for file in files],
        # As objects, so that "unknown" stays None and does not become NaN.
        "label": pd.Series([file.label for file in files], dtype=object),
        "group": list(groups),
        "width": np.array([record.width for record in records], dtype=np.int64),
        "height": np.array([record.height for record in records], dtype=np.int64),
        "mode": [record.mode for record in records],
        "pixel_hash": [record.pixel_hash for record in records],
    }
    return Index(pd.DataFrame({name: columns[name] for name in COLUMNS}))
