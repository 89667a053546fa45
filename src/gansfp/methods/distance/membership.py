"""The membership statistics, as functions of a neighbourhood: higher for images that were used.

Notation: x a candidate, S the m synthetic images, P the pool of real images, R those known not to
be used; d_k(x, A) the distance to the k-th nearest image of A, x and its patient left out. Each
function returns one score a candidate, shape (n,), and reads the label of no image but those of R.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from gansfp.methods.crossfit import cross_fitted
from gansfp.methods.distance.statistics import log_distance

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gansfp.methods.distance.neighbourhood import Neighbourhood

    Scores = NDArray[np.float64]

Statistic = Literal[
    "nearest",
    "pool_ratio",
    "reference_ratio",
    "reference_difference",
    "reference_rank",
    "lof",
    "vote_margin",
    "vote_sum",
    "vote_count",
    "count",
    "count_log",
    "dpi",
    "residual",
]

_FOLDS = 10
_LOG_3 = float(np.log(3.0))


def nearest_synthetic(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Minus the mean of d_1(x, S) ... d_k(x, S).

    GAN-Leaks' full black-box attack (Chen et al., CCS 2020) for k = 1.
    """
    mean: Scores = hood.distance[:, :k].mean(axis=1)
    return -mean


def pool_ratio(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Compute log d_kscale(x, P) - log d_k(x, S).

    An image in a dense region is near to everything; the first term takes that out, as difficulty
    calibration does for losses (Watson et al., ICLR 2022).
    """
    return log_distance(hood.to_pool(k_scale)) - log_distance(hood.distance[:, k - 1])


def reference_ratio(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Compute log d_kscale(x, R) - log d_k(x, S): the pool ratio against known non-members."""
    return log_distance(hood.to_outsiders(k_scale)) - log_distance(hood.distance[:, k - 1])


def reference_difference(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Compute d_kscale(x, R) - d_k(x, S).

    GAN-Leaks calibrated, with R in the place of a second generator's samples, as DOMIAS computes it
    (van Breugel et al., AISTATS 2023).
    """
    return hood.to_outsiders(k_scale) - hood.distance[:, k - 1]


def reference_rank(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Share of R whose reference ratio x exceeds, everybody measured against R and x.

    Mean over z in R of 1[f(x; R) > f(z; R + x - z)], a tie counting half, with f the reference
    ratio: RMIA's pairwise comparison (Zarifzadeh, Liu and Shokri, ICML 2024) with the images not
    used for its population. x joins the reference of each z, so that x and R are treated alike: for
    an image that was not used, 1 - score is full conformal inference's p-value, up to 1 / (r + 1)
    (Vovk, Gammerman and Shafer 2005).
    """
    near = log_distance(hood.distance[:, k - 1])
    apart = hood.outsider_matrix()
    own = log_distance(hood.to_outsiders(k_scale)) - near
    known = hood.outsider
    upper = hood.to_outsiders(k_scale)[known]
    lower = hood.to_outsiders(k_scale - 1)[known] if k_scale > 1 else np.zeros(int(known.sum()))
    joined = np.where(known[:, None], upper, np.clip(apart, lower, upper))
    theirs = log_distance(joined) - near[known]
    others = np.isfinite(apart)
    above = (own[:, None] > theirs) + 0.5 * (own[:, None] == theirs)
    return np.asarray((above * others).sum(axis=1) / np.maximum(others.sum(axis=1), 1))


def lof(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Mean over the k nearest s of x of log d_1(s, S without s), minus log d_1(x, S).

    The local outlier factor (Breunig et al., SIGMOD 2000) with S alone for reference: it needs no
    further real image.
    """
    local: Scores = log_distance(hood.spacing[hood.index[:, :k]]).mean(axis=1)
    return local - log_distance(hood.distance[:, 0])


def margins(hood: Neighbourhood, k: int) -> Scores:
    """By how much x beats all other real images, at each of its k nearest synthetic ones.

    log d_1(s, P without x and its patient) - log d(x, s); above 0 where s "votes" for x, that is,
    where x is its nearest real image. Gu et al. (TMLR 2025) call s a memorised copy of x where the
    margin exceeds log 3.

    Returns:
        Shape (n, k).
    """
    first, second, winner = hood.nearest_two
    near = hood.index[:, :k]
    own = winner[near] == hood.candidates.keys[:, None]
    rival = np.where(own, second[near], first[near])
    return log_distance(rival) - log_distance(hood.distance[:, :k])


def vote_margin(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """The largest margin among the k nearest synthetic images.

    Where none votes for x it is negative and still says how narrowly, so that candidates without a
    vote do not tie.
    """
    return np.asarray(margins(hood, k).max(axis=1))


def vote_sum(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Sum of the margins of the votes among the k nearest; without a vote, the largest margin."""
    margin = margins(hood, k)
    votes: Scores = np.maximum(margin, 0).sum(axis=1)
    return np.where(votes > 0, votes, margin.max(axis=1))


def vote_count(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Number of votes with a margin above log 3 (the rule of 1/3 of Gu et al.); ties are many."""
    counted: Scores = (margins(hood, k) > _LOG_3).sum(axis=1).astype(np.float64)
    return counted


def count(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Share of S nearer than a radius: the Monte Carlo attack (Hilprecht et al., PoPETs 2019)."""
    share: Scores = hood.inside / len(hood.synthetic)
    return share


def count_log(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Compute (1 / m) sum of log(r / d(x, s)) over the s within the radius r: counts, weighted.

    A copy of x counts as if it were at the smallest distance that is not 0.
    """
    largest = -log_distance(np.zeros(1))[0] + log_distance(np.array([hood.radius]))[0]
    share: Scores = np.minimum(hood.inside_log, largest) / len(hood.synthetic)
    return share


def dpi(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Compute log((n_S + 1/2) / m) - log((n_R + 1/2) / r) of the `dpi_neighbours` nearest.

    n_S of them are of S and n_R of R. Data plagiarism index (Ward et al. 2024, arXiv 2406.13012),
    with shares for counts, so that sets of unequal size balance.
    """
    others = hood.outsider_distances()
    number = np.isfinite(others).sum(axis=1)
    wanted = dpi_neighbours(hood.distance.shape[1], len(hood.synthetic), others.shape[1], k)
    ours = hood.distance[:, :wanted]
    merged = np.concatenate([ours, others], axis=1)
    of_synthetic = np.arange(merged.shape[1]) < ours.shape[1]
    order = np.argsort(merged, axis=1, kind="stable")[:, :wanted]
    from_synthetic = of_synthetic[order].sum(axis=1)
    from_outsiders = (~of_synthetic[order] & np.isfinite(np.take_along_axis(merged, order, 1))).sum(
        axis=1
    )
    share_synthetic = (from_synthetic + 0.5) / len(hood.synthetic)
    share_outsiders = (from_outsiders + 0.5) / np.maximum(number, 1)
    ratio: Scores = np.log(share_synthetic) - np.log(share_outsiders)
    return ratio


def dpi_neighbours(available: int, m: int, r: int, k: int) -> int:
    """Take max(k, 5 (m + r) / r) neighbours, so that five of R are expected among them."""
    return min(available, max(k, -(-5 * (m + r) // max(r, 1))))


def residual(hood: Neighbourhood, k: int, k_scale: int) -> Scores:
    """Minus log d_1(x, S) beyond what log d_1 and log d_kscale to the pool and to R foretell.

    Least squares on the labelled images without their labels, out of fold. The ratios above fix
    the coefficients at 0 and 1; here the images do.
    """
    known = [
        hood.to_pool(1),
        hood.to_pool(k_scale),
        hood.to_outsiders(1),
        hood.to_outsiders(k_scale),
    ]
    design = np.stack([np.ones(len(hood.candidates)), *map(log_distance, known)], axis=1)
    target = log_distance(hood.distance[:, k - 1])

    def fit(seen: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], Scores]:
        coefficients = np.linalg.lstsq(design[seen], target[seen], rcond=None)[0]
        return lambda asked: design[asked] @ coefficients - target[asked]

    return cross_fitted(fit, hood.labelled, hood.candidates.keys, _FOLDS)


@dataclass(frozen=True)
class Spec:
    """A statistic and what it asks of the neighbourhood.

    Attributes:
        score: Computes it from a neighbourhood, k, and the neighbour that gives the local scale.
        pool: It reads the pool.
        outsiders: It reads R.
        both_ways: It asks which candidate is nearest to a synthetic image.
        radius: It counts pairs within a radius.
    """

    score: Callable[[Neighbourhood, int, int], Scores]
    pool: bool = False
    outsiders: bool = False
    both_ways: bool = False
    radius: bool = False


STATISTICS: dict[str, Spec] = {
    "nearest": Spec(nearest_synthetic),
    "pool_ratio": Spec(pool_ratio, pool=True),
    "reference_ratio": Spec(reference_ratio, outsiders=True),
    "reference_difference": Spec(reference_difference, outsiders=True),
    "reference_rank": Spec(reference_rank, outsiders=True),
    "lof": Spec(lof),
    "vote_margin": Spec(vote_margin, pool=True, both_ways=True),
    "vote_sum": Spec(vote_sum, pool=True, both_ways=True),
    "vote_count": Spec(vote_count, pool=True, both_ways=True),
    "count": Spec(count, radius=True),
    "count_log": Spec(count_log, radius=True),
    "dpi": Spec(dpi, outsiders=True),
    "residual": Spec(residual, pool=True, outsiders=True),
}
