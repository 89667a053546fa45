"""Which images must not be compared with each other, or fitted on for each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark


def exclusion_keys(benchmark: Benchmark, rows: NDArray[np.int64]) -> NDArray[np.str_]:
    """Name what an image must not be compared with: its group, or itself where none is known.

    An image without a group is named by its pixels, so that a copy of it counts as itself.

    Returns:
        Keys, shape (n,).
    """
    frame = benchmark.index.frame.iloc[rows]
    known = (frame["group"] != frame["sample_id"]).to_numpy()
    groups = ("group:" + frame["group"].astype(str)).to_numpy(dtype=np.str_)
    pixels = ("pixels:" + frame["pixel_hash"].astype(str)).to_numpy(dtype=np.str_)
    return np.where(known, groups, pixels)
