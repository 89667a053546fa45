"""Grouped, stratified folds of the labelled candidates, stored as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gansfp.errors import UserError
from gansfp.tables import read_table, write_table

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark


def make_folds(
    labels: NDArray[np.object_], groups: NDArray[np.str_], n_folds: int, seed: int
) -> NDArray[np.int64]:
    """Deal images into folds: each class evenly, no group into two folds.

    Args:
        labels: Label of each image, shape (n,).
        groups: Group of each image, shape (n,).
        n_folds: At least 2.
        seed: Of the shuffle.

    Returns:
        The fold of each image, shape (n,), 0 to `n_folds` - 1.

    Raises:
        UserError: A class has fewer groups than there are folds.
    """
    if n_folds < 2:
        raise UserError(f"data.folds={n_folds}: needs at least 2")
    for label in sorted(set(labels.tolist())):
        count = len(np.unique(groups[labels == label]))
        if count < n_folds:
            raise UserError(
                f"data.folds={n_folds}: class {label} has {count} groups; set data.folds="
                f"{max(count, 2)} or data.fold=null"
            )
    folds = np.empty(len(labels), dtype=np.int64)
    for fold, (_, held_out) in enumerate(_splits(labels.astype(str), groups, n_folds, seed)):
        folds[held_out] = fold
    return folds


def benchmark_folds(
    benchmark: Benchmark,
    n_folds: int,
    seed: int,
    path: Path | None = None,
    rows: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Give the fold of every labelled image, from a file where there is one.

    Args:
        benchmark: Where the images come from.
        n_folds: Number of folds.
        seed: Of the shuffle, where they are made.
        path: CSV of `sample_id, fold`, read where it exists and written where it does not.
        rows: The images that are dealt; None: the training candidates.

    Returns:
        Folds in the order of the rows.

    Raises:
        UserError: The file belongs to another benchmark, other images or another number of folds.
    """
    rows = benchmark.candidates("train") if rows is None else rows
    sample_ids = benchmark.index.frame["sample_id"].iloc[rows]
    if path is not None and path.is_file():
        return _read_folds(path, sample_ids, benchmark.groups(rows), n_folds)
    folds = make_folds(benchmark.labels(rows), benchmark.groups(rows), n_folds, seed)
    if path is not None:
        write_table(pd.DataFrame({"sample_id": sample_ids.to_numpy(), "fold": folds}), path)
    return folds


def sequestered(
    benchmark: Benchmark, rows: NDArray[np.int64], share: float, seed: int
) -> NDArray[np.int64]:
    """Choose labelled images that take part in nothing until the end, by group and label.

    Args:
        benchmark: Where the images come from.
        rows: The images to choose from.
        share: How many; one of round(1 / share) stratified parts is taken.
        seed: Of the choice; the folds of the same seed are dealt independently of it.

    Returns:
        The chosen rows, ascending; empty for a share of 0.
    """
    if share == 0:
        return rows[:0]
    if not 0 < share <= 0.5:
        raise UserError(f"data.sequester={share}: must be 0, or at most 0.5")
    parts = make_folds(
        benchmark.labels(rows), benchmark.groups(rows), round(1 / share), ~seed % 2**32
    )
    return np.asarray(rows[parts == 0])


def first_of_each(
    rows: NDArray[np.int64], labels: NDArray[np.object_], count: int, seed: int
) -> NDArray[np.int64]:
    """Choose as many rows of each label, at random; a smaller choice is part of a larger one.

    Args:
        rows: Shape (n,).
        labels: Shape (n,).
        count: Of each label; all where there are fewer.
        seed: Of the choice.

    Returns:
        The chosen rows, ascending.
    """
    order = np.random.default_rng([seed, 1]).permutation(len(rows))
    chosen = [order[labels[order] == label][:count] for label in sorted(set(labels.tolist()))]
    return np.sort(rows[np.concatenate([np.empty(0, np.int64), *chosen])])


def _splits(
    labels: NDArray[np.str_], groups: NDArray[np.str_], n_folds: int, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    rows = np.zeros(len(labels))
    if len(np.unique(groups)) == len(groups):  # The other kind loops over groups, to the same end.
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(rows, labels))
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    return list(splitter.split(rows, labels, groups))


def _read_folds(
    path: Path, sample_ids: pd.Series[str], groups: NDArray[np.str_], n_folds: int
) -> NDArray[np.int64]:
    cure = "delete the file to make new folds, or name another with data.folds_file"
    frame = read_table(path)
    if list(frame.columns) != ["sample_id", "fold"]:
        raise UserError(f"{path}: columns must be sample_id, fold; {cure}")
    if frame["sample_id"].duplicated().any() or set(frame["sample_id"]) != set(sample_ids):
        odd = sorted(set(frame["sample_id"]) ^ set(sample_ids))
        example = f" ({odd[0]})" if odd else ""
        raise UserError(f"{path}: lists other images than this benchmark{example}; {cure}")
    folds = frame.set_index("sample_id")["fold"].loc[sample_ids].to_numpy()
    if set(folds.tolist()) != set(range(n_folds)):
        raise UserError(
            f"{path}: does not hold folds 0 to {n_folds - 1} (data.folds={n_folds}); {cure}"
        )
    pairs = pd.DataFrame({"group": groups, "fold": folds}).drop_duplicates()
    if pairs["group"].duplicated().any():
        torn = pairs.loc[pairs["group"].duplicated(), "group"].iloc[0]
        raise UserError(f"{path}: group {torn} lies in several folds; {cure}")
    return np.asarray(folds, dtype=np.int64)
