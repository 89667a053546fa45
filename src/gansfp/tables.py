"""Prediction tables: the only thing that metrics, voting, reports and run files read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark

PROBABILITY_PREFIX = "p_"


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as parquet, or as CSV where the name ends in `.csv`, in one atomic step.

    A reader sees the old file or the new one, never a part of either, also after a kill.

    Args:
        frame: The table; its index is not kept.
        path: Where to; folders are made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    if path.suffix == ".csv":
        frame.to_csv(partial, index=False)
    else:
        frame.to_parquet(partial, index=False)
    partial.replace(path)


def read_table(path: Path) -> pd.DataFrame:
    """Read a table that `write_table` wrote.

    Raises:
        UserError: The file is missing or is not such a table.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such prediction table; has the run finished?")
    try:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not a readable table ({error})") from error


def score_table(
    benchmark: Benchmark, rows: NDArray[np.int64], scores: NDArray[np.floating]
) -> pd.DataFrame:
    """Lay the output of a method out as a prediction table, without its decisions.

    Args:
        benchmark: Where the rows come from.
        rows: Images that were scored, shape (n,).
        scores: Membership: raw scores, shape (n,). Attribution: probabilities, shape (n, classes).

    Returns:
        `sample_id`, `group` and `raw_score`, or one `p_<class>` column a class.

    Raises:
        ValueError: A shape is wrong, or a score is not finite.
    """
    expected = (
        (len(rows),) if benchmark.task == "membership" else (len(rows), len(benchmark.classes))
    )
    if scores.shape != expected:
        raise ValueError(f"scores have shape {scores.shape}, expected {expected}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{int((~np.isfinite(scores)).sum())} scores are not finite")
    known = benchmark.index.frame.iloc[rows][["sample_id", "group"]]
    frame: pd.DataFrame = known.reset_index(drop=True)
    if benchmark.task == "membership":
        return frame.assign(raw_score=scores.astype(np.float64))
    columns = {
        f"{PROBABILITY_PREFIX}{name}": scores[:, k] for k, name in enumerate(benchmark.classes)
    }
    return frame.assign(**columns)


def table_classes(frame: pd.DataFrame) -> tuple[str, ...]:
    """Name the classes of an attribution table, in column order; empty for a membership table."""
    columns = [name for name in frame.columns if name.startswith(PROBABILITY_PREFIX)]
    return tuple(name.removeprefix(PROBABILITY_PREFIX) for name in columns)
