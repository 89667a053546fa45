"""Stacking: members weighed by how well they predict images that none of them was fitted on.

Wolpert, "Stacked generalization", Neural Networks 1992. A logarithmic opinion pool, P(k)
proportional to the product of the members' probabilities to the power of their weights: with one
member its weight is an inverse temperature (Guo et al., "On calibration of modern neural networks",
ICML 2017), so that stacking calibrates too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.folds import make_folds
from gansfp.ensembles.voting import align
from gansfp.errors import UserError
from gansfp.methods.choice import ConditionalLogit
from gansfp.tables import PROBABILITY_PREFIX, table_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FLOOR = 1e-4
"""Smallest probability that counts: no member can veto a class."""


class Stack:
    """Weights of members, none of them negative and the same for every class.

    Attributes:
        model: The regression on log probabilities.
    """

    def __init__(self, model: ConditionalLogit) -> None:
        self.model = model

    @classmethod
    def fit(cls, tables: Sequence[pd.DataFrame], penalty: float = 1.0) -> Stack:
        """Weigh the members.

        Args:
            tables: Attribution tables with `label`, of the same images in any order; no member was
                fitted on them.
            penalty: Of the weights (`gansfp.methods.choice`).

        Raises:
            UserError: There are no images to weigh them on, or tables speak of different ones.
        """
        aligned = align(tables)
        if not len(aligned[0]):
            raise UserError("method.combine=stack needs held-out images: data.fold=0")
        return cls(ConditionalLogit.fit(evidence(aligned), targets(aligned[0]), penalty))

    def probabilities(self, tables: Sequence[pd.DataFrame]) -> Array:
        """Pool the members' probabilities, in the order of the first table: shape (n, classes)."""
        return self.model.probabilities(evidence(align(tables)))


def out_of_fold(
    tables: Sequence[pd.DataFrame], folds: int = 5, seed: int = 0, penalty: float = 1.0
) -> Array:
    """Pool labelled images by stacks that were fitted on other ones; no group is torn.

    Args:
        tables: As `Stack.fit` takes them.
        folds: Of the images.
        seed: Of the folds.
        penalty: See `Stack.fit`.

    Returns:
        In the order of the first table, shape (n, classes).
    """
    aligned = align(tables)
    labels = aligned[0]["label"].to_numpy(dtype=object)
    groups = aligned[0]["group"].to_numpy().astype(np.str_)
    fold = make_folds(labels, groups, folds, seed)
    found = np.empty((len(labels), len(table_classes(aligned[0]))))
    for number in range(folds):
        others, own = fold != number, fold == number
        stack = Stack.fit([table[others] for table in aligned], penalty)
        found[own] = stack.probabilities([table[own] for table in aligned])
    return found


def stacked(tables: Sequence[pd.DataFrame], labelled: Sequence[pd.DataFrame]) -> Array:
    """Pool images, labelled ones among them by stacks that did not see their groups.

    Args:
        tables: Of each member, of the same images in any order.
        labelled: As `Stack.fit` takes them, a table a member in the same order; images that are
            not in all of them are left out. (What fits nothing scores more than the held-out fold.)

    Returns:
        In the order of the first table, shape (n, classes).

    Raises:
        UserError: The members do not tell classes apart, or hold nothing out.
    """
    if not table_classes(tables[0]):
        raise UserError("method.combine=stack is for task=attribution")
    labelled = shared(labelled)
    found = Stack.fit(labelled).probabilities(tables)
    position = {name: n for n, name in enumerate(tables[0]["sample_id"])}
    places = [position.get(name, -1) for name in labelled[0]["sample_id"]]
    here = np.array([n for n, place in enumerate(places) if place >= 0], dtype=np.int64)
    if len(here):
        found[[places[n] for n in here]] = out_of_fold(labelled)[here]
    return found


def shared(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Keep the images that every table has."""
    common = set.intersection(*(set(table["sample_id"]) for table in tables))
    return [table[table["sample_id"].isin(common)].reset_index(drop=True) for table in tables]


def evidence(tables: Sequence[pd.DataFrame]) -> Array:
    """Lay log probabilities out as evidence: shape (n, classes, members)."""
    columns = [PROBABILITY_PREFIX + name for name in table_classes(tables[0])]
    stacked = np.stack([table[columns].to_numpy(np.float64) for table in tables], axis=2)
    logs: Array = np.log(np.maximum(stacked, FLOOR))
    return logs


def targets(table: pd.DataFrame) -> NDArray[np.int64]:
    """Number the labels of a table by its classes: shape (n,)."""
    number = {name: k for k, name in enumerate(table_classes(table))}
    return np.array([number[label] for label in table["label"]], dtype=np.int64)
