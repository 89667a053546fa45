"""RMIA for generators: how many other images does an image beat in its likelihood ratio?

Source: Zarifzadeh, Liu and Shokri, "Low-Cost High-Power Membership Inference Attacks", ICML 2024.
There p(x | model) is a classifier's probability of the true class. A generator's samples give no
probability; as in GAN-Leaks (Chen et al., CCS 2020) it is taken proportional to an exponential of
the distance, p(x | G) = exp(-d(x) / scale): 1 for a copy, as the paper's p for a sure classifier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Values = NDArray[np.float64]
    Mask = NDArray[np.bool_]


def likelihood(distance: Values, scale: float) -> Values:
    """Stand in for p(x | G): exp(-distance / scale), in (0, 1], any shape."""
    result: Values = np.exp(-distance / scale)
    return result


def marginal_online(shadow: Values, known: Mask) -> Values:
    """Estimate p(x) = (mean over generators that know x + mean over the others) / 2.

    Args:
        shadow: p(x | G) of S shadow generators, shape (S, n).
        known: Whether each was trained on x, shape (S, n).

    Returns:
        Shape (n,).

    Raises:
        ValueError: An image lacks a side.
    """
    return 0.5 * (_mean(shadow, known) + _mean(shadow, ~known))


def marginal_offline(shadow: Values, known: Mask, slope: ArrayLike) -> Values:
    """Estimate p(x) = ((1 + a) p_out(x) + (1 - a)) / 2 from the generators that don't know x.

    The paper's offline correction: p_in is taken as a p_out + 1 - a, a line through (1, 1), since
    what is certain without an image stays certain with it.

    Args:
        shadow: p(x | G), shape (S, n).
        known: Whether each was trained on x, shape (S, n); those are left out.
        slope: a, in [0, 1]; one for all images or one each, shape (n,).
    """
    a = np.asarray(slope, np.float64)
    marginal: Values = 0.5 * ((1.0 + a) * _mean(shadow, ~known) + (1.0 - a))
    return marginal


def fit_slope(shadow: Values, known: Mask, groups: NDArray[np.int64] | None = None) -> Values:
    """Fit a of `marginal_offline` by least squares of 1 - p_in on 1 - p_out.

    The paper picks the a that attacks one shadow model best; the line itself has a closed form,
    sum (1 - p_in) (1 - p_out) / sum (1 - p_out)^2, which tunes nothing to a metric. The a of an
    image comes from the images of other groups: offline it has no p_in of its own.

    Args:
        shadow: p(x | G), shape (S, n).
        known: Whether each was trained on x, shape (S, n). Images without both sides do not count.
        groups: Patient number of each image, shape (n,); None: all different.

    Returns:
        a in [0, 1], shape (n,); 1 (no correction) where nothing can be fitted.
    """
    number = np.arange(shadow.shape[1]) if groups is None else groups
    both = known.any(axis=0) & (~known).any(axis=0)
    inside = 1.0 - np.where(known, shadow, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    outside = 1.0 - np.where(known, 0.0, shadow).sum(axis=0) / np.maximum((~known).sum(axis=0), 1)
    product = _of_others(np.where(both, inside * outside, 0.0), number)
    square = _of_others(np.where(both, outside**2, 0.0), number)
    safe = np.where(square > 0, square, 1.0)
    return np.clip(np.where(square > 0, product / safe, 1.0), 0.0, 1.0)


def rmia_score(
    ratio: Values,
    population: Values,
    gamma: float = 1.0,
    compare: Mask | None = None,
) -> Values:
    """Score by the share of population images z with ratio(x) / ratio(z) >= gamma.

    With gamma 1 and one population for all images this ranks as the ratio
    itself; the pairs make it a probability, whose threshold means the same for every generator.

    Args:
        ratio: p(x | target) / p(x) of the candidates, shape (n,).
        population: The same of images known not to be used, shape (z,).
        gamma: How much more likely x must be than z.
        compare: Which pairs count, shape (n, z); None: all. An image or a patient is not compared
            with itself.

    Returns:
        Scores in [0, 1], shape (n,).

    Raises:
        ValueError: An image has nothing to be compared with.
    """
    beaten = ratio[:, None] >= gamma * population[None]
    if compare is None:
        compare = np.ones(beaten.shape, dtype=bool)
    count = compare.sum(axis=1)
    if (count < 1).any():
        raise ValueError("an image has no population to be compared with")
    share: Values = (beaten & compare).sum(axis=1) / count
    return share


def _of_others(values: Values, number: NDArray[np.int64]) -> Values:
    """Sum over the images of other groups, shape (n,); rounding leaves no sum below 0."""
    rest: Values = values.sum() - np.bincount(number, values)[number]
    return np.where(rest > 1e-12 * values.sum(), rest, 0.0)


def _mean(shadow: Values, use: Mask) -> Values:
    count = use.sum(axis=0)
    if (count < 1).any():
        raise ValueError(f"{int((count < 1).sum())} images have no shadow value")
    mean: Values = np.where(use, shadow, 0.0).sum(axis=0) / count
    return mean
