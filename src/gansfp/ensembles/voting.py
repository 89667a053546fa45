"""Votes over prediction tables, and what their agreement is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gansfp.errors import UserError
from gansfp.methods.distance.statistics import blend_votes
from gansfp.tables import PROBABILITY_PREFIX, table_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def vote(tables: Sequence[pd.DataFrame]) -> Array:
    """Let each table's decision count as one vote.

    Attribution: the mode of the hard votes; ties go to the largest mean probability (run 1426).
    Membership: the share of votes for "used".

    Args:
        tables: Prediction tables with `decision`, of the same images in any order; n rows each.

    Returns:
        In the order of the first table. Attribution: probabilities whose arg-max is the decision,
        shape (n, classes). Membership: shape (n,).

    Raises:
        UserError: There is no table, or they speak of different images or classes.
    """
    aligned = align(tables)
    classes = table_classes(aligned[0])
    if not classes:
        used: Array = np.mean([table["decision"].to_numpy(np.float64) for table in aligned], axis=0)
        return used
    columns = [f"{PROBABILITY_PREFIX}{name}" for name in classes]
    mean = np.mean([table[columns].to_numpy(np.float64) for table in aligned], axis=0)
    return blend_votes(shares(aligned, classes), mean)


def averaged(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Average the probabilities of tables; decide for the largest.

    Args:
        tables: Attribution tables of the same images in any order; a single one, of whatever task,
            is given back as it is.

    Returns:
        The first table with the mean probabilities, in its order.

    Raises:
        UserError: They speak of different images, or do not tell classes apart.
    """
    if len(tables) == 1:
        return tables[0]
    aligned = align(tables)
    classes = table_classes(aligned[0])
    if not classes:
        raise UserError("method.cross_fit is for task=attribution")
    columns = [f"{PROBABILITY_PREFIX}{name}" for name in classes]
    mean = np.mean([table[columns].to_numpy(np.float64) for table in aligned], axis=0)
    decided = np.asarray(classes, dtype=object)[mean.argmax(axis=1)]
    values = {name: mean[:, k] for k, name in enumerate(columns)}
    return aligned[0].assign(**values, decision=decided)


def shares(tables: Sequence[pd.DataFrame], classes: Sequence[str]) -> Array:
    """Count hard votes.

    Args:
        tables: Prediction tables of the same images in the same order; n rows each.
        classes: The classes, in the order of the result.

    Returns:
        Rows sum to 1, shape (n, classes).
    """
    decided = np.stack([table["decision"].to_numpy(dtype=object) for table in tables])
    return np.stack([(decided == name).mean(axis=0) for name in classes], axis=1)


def agreed(tables: Sequence[pd.DataFrame], agreement: float) -> pd.DataFrame:
    """Pick the images on which enough members agree.

    Args:
        tables: Attribution tables with `decision`, of the same images.
        agreement: Smallest share of the members that decide for one class.

    Returns:
        `sample_id`, `label` and `agreement` of those images.
    """
    aligned = align(tables)
    classes = table_classes(aligned[0])
    counted = shares(aligned, classes)
    found = aligned[0][["sample_id"]].assign(
        label=np.asarray(classes, dtype=object)[counted.argmax(axis=1)],
        agreement=counted.max(axis=1),
    )
    # Shares are sums of 1 / members: 0.9 of ten must not fail by rounding.
    return found[found["agreement"] >= agreement - 1e-9].reset_index(drop=True)


def accuracy(scores: Array, table: pd.DataFrame) -> float:
    """Measure how many labelled images a vote decides rightly.

    Args:
        scores: What `vote` returned for tables of which `table` was the first.
        table: With the column `label`.
    """
    if scores.ndim == 1:
        decided: NDArray[np.object_] = (scores >= 0.5).astype(object)
    else:
        decided = np.asarray(table_classes(table), dtype=object)[scores.argmax(axis=1)]
    return float((decided == table["label"].to_numpy(dtype=object)).mean())


def align(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Put the rows of all tables in the order of the first.

    Raises:
        UserError: There is no table, or they speak of different images or classes.
    """
    if not tables:
        raise UserError("method.members: there is none to vote")
    first = tables[0]
    ids = first["sample_id"]
    found = []
    for table in tables:
        if table_classes(table) != table_classes(first):
            raise UserError(
                f"method.members: they know different classes, {table_classes(first)} and "
                f"{table_classes(table)}"
            )
        by_id = table.set_index("sample_id")
        if len(by_id) != len(ids) or not by_id.index.is_unique or not ids.isin(by_id.index).all():
            raise UserError(
                "method.members: they predicted different images; the same data.split_seed, "
                "data.folds and data.fold give the same ones"
            )
        found.append(by_id.loc[ids].reset_index())
    return found
