"""Subsets that are mostly, not wholly, of one value of a covariate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.errors import UserError
from gansfp.forge.benchmarks.base import rng_for
from gansfp.forge.plans import Deck

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from gansfp.forge.plans import Rows


def mix(
    groups: NDArray[np.str_], by_value: Mapping[str, Rows], purity: float, seed: int
) -> dict[str, Rows]:
    """Deal whole patients to as many subsets as there are values, most of them to their own.

    Every subset gets as many patients as the rarest value has, n. A share `purity` of them,
    rounded, is of the subset's own value, the others are dealt equally from the other values. What
    each value gives is then n too, so the rarest suffices and the counts hold exactly.

    Args:
        groups: Patient of each image, shape (N,).
        by_value: Images of each value.
        purity: Above 1 / values, at most 1.
        seed: Of the benchmark.

    Returns:
        Images of each subset, by the name of its own value, patients in random order; all images
        of a patient together, and no patient in two subsets.

    Raises:
        UserError: The purity is out of range, or too few patients make it vanish.
    """
    values = len(by_value)
    if not 1 / values < purity <= 1:
        raise UserError(
            f"benchmark.purity={purity}: must be above 1/{values} (with {values} values the share "
            "that chance gives) and at most 1"
        )
    home = homes(groups, by_value)
    value_of = np.array([home[group] for group in groups.tolist()])
    decks = {
        value: Deck(groups, rng_for(seed, f"purity {value}"), np.flatnonzero(value_of == value))
        for value in by_value
    }
    patients = min(list(home.values()).count(value) for value in by_value)
    counts = shares(patients, values, purity)
    names = list(by_value)
    hands = {
        name: [decks[names[(place + step) % values]].whole(counts[step]) for step in range(values)]
        for place, name in enumerate(names)
    }
    # Shuffled, since the order of the files must not tell a subset's own patients from the others.
    return {
        name: Deck(groups, rng_for(seed, f"mixed {name}"), np.concatenate(parts)).rest()
        for name, parts in hands.items()
    }


def shares(patients: int, values: int, purity: float) -> list[int]:
    """Split a subset's patients: own value first, then the other values in cyclic order.

    Where they don't divide evenly the first others get one more. The same list for every subset
    makes the matrix of subset by value circulant: its rows and its columns have the same sums.

    Raises:
        UserError: No more would be of the own value than of another.
    """
    own = round(purity * patients)
    each, more = divmod(patients - own, values - 1)
    counts = [own] + [each + (k < more) for k in range(values - 1)]
    if own <= counts[1]:
        raise UserError(
            f"benchmark.purity={purity}: of the {patients} patients of a subset {own} would be of "
            f"its own value and {counts[1]} of another; set it higher or take more patients"
        )
    return counts


def homes(groups: NDArray[np.str_], by_value: Mapping[str, Rows]) -> dict[str, str]:
    """Find the value of each patient: that of most of its images, the first named if equal."""
    names, owner = np.unique(groups, return_inverse=True)
    counts = np.stack(
        [np.bincount(owner[rows], minlength=len(names)) for rows in by_value.values()]
    )
    values = list(by_value)
    return {name: values[k] for name, k in zip(names.tolist(), counts.argmax(axis=0), strict=True)}
