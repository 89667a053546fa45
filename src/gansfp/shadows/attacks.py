"""The shadow attacks by name: each maps a case to scores that are higher for members."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.shadows import rmia
from gansfp.shadows.distances import closeness
from gansfp.shadows.learned import fit_shadows, learned_score
from gansfp.shadows.lira import lira_offline, lira_online, reference_score

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gansfp.shadows.case import Case

    Values = NDArray[np.float64]

POOL_K = 5
"""Which real neighbour gives the local scale of `pool_ratio`."""


def nearest(case: Case) -> Values:
    """Score by closeness alone, without shadow generators (GAN-Leaks, Chen et al., 2020)."""
    return closeness(case.target, case.k, case.floor)


def statistic(case: Case) -> Values:
    """Score by the statistic alone, without shadow generators: closeness, or the one chosen."""
    return case.observed


def pool_ratio(case: Case) -> Values:
    """Score by closeness against the spacing of the real images, without shadow generators."""
    spacing = np.log(np.maximum(case.pool[:, POOL_K - 1], case.floor))
    score: Values = nearest(case) + spacing
    return score


def reference(case: Case) -> Values:
    """See `gansfp.shadows.lira.reference_score`."""
    return reference_score(case.observed, case.shadows, case.known)


def offline_lira(case: Case) -> Values:
    """See `gansfp.shadows.lira.lira_offline`."""
    return lira_offline(case.observed, case.shadows, case.known, pooled=case.fitting)


def online_lira(case: Case) -> Values:
    """See `gansfp.shadows.lira.lira_online`."""
    return lira_online(case.observed, case.shadows, case.known, pooled=case.fitting)


def offline_rmia(case: Case) -> Values:
    """See `gansfp.shadows.rmia.rmia_score`, with the offline correction."""
    shadow = _likelihood(case, case.shadows)
    slope = rmia.fit_slope(
        shadow[:, case.fitting], case.known[:, case.fitting], _numbered(case.groups[case.fitting])
    )
    own = np.full(len(case.groups), slope.mean())
    own[case.fitting] = slope
    return _pairwise(case, rmia.marginal_offline(shadow, case.known, own))


def online_rmia(case: Case) -> Values:
    """See `gansfp.shadows.rmia.rmia_score`, with both sides of each image."""
    shadow = _likelihood(case, case.shadows)
    return _pairwise(case, rmia.marginal_online(shadow, case.known))


def learned(case: Case) -> Values:
    """See `gansfp.shadows.learned`."""
    return learned_score(case, fit_shadows(case))


ATTACKS: dict[str, Callable[[Case], Values]] = {
    "nearest": nearest,
    "pool_ratio": pool_ratio,
    "statistic": statistic,
    "reference": reference,
    "lira_offline": offline_lira,
    "lira_online": online_lira,
    "rmia_offline": offline_rmia,
    "rmia_online": online_rmia,
    "learned": learned,
}
"""By name; the first three use no shadow generator and are what the others must beat."""

ONLINE = frozenset({"lira_online", "rmia_online", "learned"})
"""Attacks that need shadow generators trained on an image, and others not."""


def _likelihood(case: Case, statistic: Values) -> Values:
    """p(x | G) of a statistic, which is minus a log distance."""
    return rmia.likelihood(np.exp(-statistic), case.scale)


def _pairwise(case: Case, marginal: Values) -> Values:
    ratio = _likelihood(case, case.observed) / marginal
    inside = case.population
    compare = case.groups[:, None] != case.groups[inside][None]
    return rmia.rmia_score(ratio, ratio[inside], compare=compare)


def _numbered(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(groups, return_inverse=True)[1].ravel()
