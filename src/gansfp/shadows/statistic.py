"""The per-image statistic that shadow generators are compared in: any distance score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.errors import UserError
from gansfp.methods.distance.membership import STATISTICS
from gansfp.methods.distance.neighbourhood import Keyed, Neighbourhood

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

NEAREST = "nearest"
"""Minus the mean log distance to the k nearest samples: needs no further statistic."""

SCALE_K = 5
"""Which real neighbour gives the local scale of a pool ratio."""

CHOICES = (
    NEAREST,
    *(
        name
        for name, spec in STATISTICS.items()
        if name != NEAREST and not spec.outsiders and not spec.radius
    ),
)
"""Statistics that read samples and real images alone."""


def check_statistic(key: str, name: str) -> None:
    """Refuse a statistic that needs known non-members, or that does not exist.

    Raises:
        UserError: Names the key.
    """
    if name not in CHOICES:
        raise UserError(f"{key}={name}: choose {', '.join(CHOICES)}")


def statistic_values(
    name: str,
    vectors: NDArray[Any],
    keys: NDArray[Any],
    pool: NDArray[np.bool_],
    samples: NDArray[Any],
    k: int = 1,
) -> Values:
    """Compute a statistic of `gansfp.methods.distance.membership` at one generator.

    Args:
        name: One of CHOICES, but NEAREST.
        vectors: Of real images, shape (n, D).
        keys: Patient of each, shape (n,).
        pool: Which of them tell how dense a region is, shape (n,).
        samples: Of the generator, shape (m, D).
        k: Neighbours.

    Returns:
        Higher for members, shape (n,).
    """
    spec = STATISTICS[name]
    hood = Neighbourhood(
        Keyed(vectors, keys),
        samples,
        labelled=pool,
        outsider=np.zeros(len(vectors), dtype=bool),
        k=k,
        transductive=bool(pool.all()),
        both_ways=spec.both_ways,
    )
    return spec.score(hood, k, SCALE_K)
