"""Conformal p-values of membership scores against images that are known not to be used.

What holds: where a candidate was not used and its score is exchangeable with those of the known
non-members, P(p <= a) <= a for every a. This is marginal, on average over draws of the known
non-members together with the candidate; for the non-members at hand the true level differs, the
less the more there are (with n of them by about sqrt(a (1 - a) / n)). Exchangeable means: the score
is one fixed function, or treats known non-members and candidate alike. A score that was fitted,
oriented or chosen on the known non-members is not.

p-values that share their non-members depend on each other positively, so that Benjamini and
Hochberg's procedure keeps the false discovery rate at q (Bates, Candes, Lei, Romano and Sesia 2023,
"Testing for outliers with conformal p-values", theorem 2).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gansfp.evaluation.measure import mean_by_group
from gansfp.evaluation.multiplicity import benjamini_hochberg

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Discoveries(NamedTuple):
    """What a set of candidates shows.

    Attributes:
        p: p-value of each image; images of a patient share theirs; shape (n,).
        called: Called used, shape (n,).
        units: Number of patients (or of images) tested.
        known: Number of known non-members that calibrate, in the same unit.
    """

    p: NDArray[np.float64]
    called: NDArray[np.bool_]
    units: int
    known: int


def conformal_p(score: ArrayLike, known: ArrayLike) -> NDArray[np.float64]:
    """Compute p = (1 + #{known >= score}) / (n + 1); ties count against a discovery.

    Args:
        score: Scores of candidates, higher means used, shape (m,).
        known: Scores of known non-members, shape (n,).
    """
    rising = np.sort(np.asarray(known, np.float64).ravel())
    below = np.searchsorted(rising, np.asarray(score, np.float64).ravel(), "left")
    return np.asarray((1.0 + len(rising) - below) / (len(rising) + 1.0))


def discover(
    score: ArrayLike,
    known: ArrayLike,
    q: float,
    groups: ArrayLike | None = None,
    known_groups: ArrayLike | None = None,
) -> Discoveries:
    """Call candidates used at false discovery rate q.

    With groups a patient is one candidate, and one non-member, by the mean of its images' scores:
    slices of one patient are not exchangeable with those of another. The null hypothesis is then
    that no image of the patient was used.

    Args:
        score: Scores of the candidates' images, higher means used, shape (n,).
        known: Scores of images known not to be used, shape (r,).
        q: Expected share of wrong calls among the calls, at most.
        groups: Patient of each candidate image, shape (n,), or None.
        known_groups: Patient of each known non-member, shape (r,), or None.
    """
    units, number = _by_group(score, groups)
    calibration, _ = _by_group(known, known_groups)
    p = conformal_p(units, calibration)
    called = benjamini_hochberg(p) <= q * (1.0 + 1e-12)
    return Discoveries(p[number], called[number], len(units), len(calibration))


def fewest_calls(candidates: int, known: int, q: float) -> int:
    """Smallest number of candidates that can be called at once, if any is.

    Benjamini and Hochberg call k candidates whose p-values are at most q k / candidates. No p-value
    is below 1 / (known + 1), so k is at least candidates / (q (known + 1)): so many candidates must
    beat every known non-member, or more of them all but one, and so on.

    Args:
        candidates: Number of candidates.
        known: Number of known non-members.
        q: False discovery rate.

    Returns:
        The number; above `candidates` where nothing can ever be called.
    """
    return max(1, math.ceil(candidates / (q * (known + 1.0)) - 1e-9))


def _by_group(
    score: ArrayLike, groups: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Average scores over groups; returns also the group number of each image."""
    values = np.asarray(score, np.float64).ravel()
    if groups is None or not len(values):
        return values, np.arange(len(values))
    number = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    return mean_by_group(values, number), number
