"""Likelihood ratios of a statistic against shadow generators: LiRA, and the difference of means.

Everywhere: `observed` is the statistic of each image at the target, shape (n,), larger for an image
that the target comes closer to; `shadow` the same at S shadow generators, shape (S, n); `known`
whether a shadow generator was trained on an image, bool, shape (S, n).

Source: Carlini, Chien, Nasr, Song, Terzis and Tramer, "Membership inference attacks from first
principles", IEEE S&P 2022. There the statistic is the logit of a classifier's confidence; here it
is minus the logarithm of a distance to the generator's samples, which is near normal too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]
    Mask = NDArray[np.bool_]

ENOUGH = 64
"""Shadow values on a side of an image from which its own variance is better than the pooled one, as
the paper found."""


class Normals(NamedTuple):
    """A normal distribution for each image.

    Attributes:
        mean: Shape (n,).
        sd: Shape (n,).
    """

    mean: Values
    sd: Values


def fit_normals(
    shadow: Values,
    use: Mask,
    enough: int = ENOUGH,
    ddof: int = 1,
    pooled: Mask | None = None,
) -> Normals:
    """Fit a normal distribution to the shadow values of each image.

    The mean is the image's own. With fewer than `enough` values of some image the variance is
    pooled: squared differences from each image's mean, over the images, by the sum of (count -
    ddof).

    Args:
        shadow: Statistics, shape (S, n).
        use: Which of them belong to the distribution, shape (S, n).
        enough: Values of every image from which on each has its own variance.
        ddof: 1: unbiased variances; 0: of maximum likelihood, as the paper's code.
        pooled: Images that a pooled variance is made of, shape (n,); None: all.

    Raises:
        ValueError: An image has no value, or nothing has two.
    """
    count = use.sum(axis=0)
    if (count < 1).any():
        raise ValueError(f"{int((count < 1).sum())} images have no shadow value")
    mean = np.where(use, shadow, 0.0).sum(axis=0) / count
    squares = np.where(use, shadow - mean, 0.0) ** 2
    if (count >= max(enough, ddof + 1)).all():
        variance = squares.sum(axis=0) / (count - ddof)
    else:
        kept = slice(None) if pooled is None else pooled
        freedom = np.maximum(count[kept] - ddof, 0).sum()
        if freedom < 1:
            raise ValueError("no image has two shadow values: their spread is unknown")
        variance = np.full(len(mean), squares[:, kept].sum() / freedom)
    return Normals(mean, np.sqrt(np.maximum(variance, np.finfo(np.float64).tiny)))


def log_density(values: Values, normals: Normals) -> Values:
    """Logarithm of the normal density of each image's value, shape (n,)."""
    z = (values - normals.mean) / normals.sd
    density: Values = -0.5 * z**2 - np.log(normals.sd) - 0.5 * np.log(2.0 * np.pi)
    return density


def lira_online(
    observed: Values,
    shadow: Values,
    known: Mask,
    enough: int = ENOUGH,
    ddof: int = 1,
    pooled: Mask | None = None,
) -> Values:
    """Score by log N(observed; trained on it) - log N(observed; not trained on it), shape (n,).

    The paper's algorithm 1. Every image needs shadow generators on both sides.
    """
    inside = fit_normals(shadow, known, enough, ddof, pooled)
    outside = fit_normals(shadow, ~known, enough, ddof, pooled)
    return log_density(observed, inside) - log_density(observed, outside)


def lira_offline(
    observed: Values,
    shadow: Values,
    known: Mask,
    enough: int = ENOUGH,
    ddof: int = 1,
    pooled: Mask | None = None,
) -> Values:
    """Score by (observed - mean) / sd of the shadow generators that were not trained on it.

    The paper's 1 - Pr[Z > observed] is the normal distribution function of this, which ranks alike
    until it is 1 in floating point. Shape (n,).
    """
    outside = fit_normals(shadow, ~known, enough, ddof, pooled)
    return (observed - outside.mean) / outside.sd


def reference_score(observed: Values, shadow: Values, known: Mask) -> Values:
    """Score by the difference from the mean of the generators that were not trained on it.

    With minus the log distance as statistic, the logarithm of the geometric mean distance to the
    reference generators' samples over the distance to the target's: the calibration of GAN-Leaks
    (Chen, Yu, Zhang and Fritz, CCS 2020), on logarithms, and difficulty calibration (Watson, Guo,
    Cormode and Sablayrolles, ICLR 2022). No shadow generator ever judges an image that it was
    trained on. Shape (n,).
    """
    use = ~known
    count = use.sum(axis=0)
    if (count < 1).any():
        raise ValueError(f"{int((count < 1).sum())} images have no reference generator")
    mean: Values = np.where(use, shadow, 0.0).sum(axis=0) / count
    return observed - mean
