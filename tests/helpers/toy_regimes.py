"""Toy generators that leak in known ways, on vectors: what an attack must find where raw distance
does not.

The data are a mixture of 30 heavy-tailed components (Student's t with 5 degrees of freedom, scales
that differ by a third) in 64 dimensions, so that the local spacing of the real images varies a lot
and raw distance mostly finds the dense regions. The generators:

- `kde`: a training vector and noise of 0.7 times its own distance to the next one;
- `mix`: 10 % copies with half as much noise, 90 % fresh draws;
- `gkde`: a training vector and noise of 1.4 times the median of these distances, the same for all;
- `mixup`: between a training vector and one of its five nearest, and a little noise;
- `gmm`: a Gaussian mixture of one component for ten training vectors, in 16 principal components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from gansfp.features.neighbours import Exclusion, nearest
from gansfp.methods.distance.membership import STATISTICS
from gansfp.methods.distance.neighbourhood import Keyed, Neighbourhood

Regime = Literal["kde", "mix", "gkde", "mixup", "gmm"]
REGIMES: tuple[Regime, ...] = get_args(Regime)

DIM, COMPONENTS, FREEDOM = 64, 30, 5
_NOISE = {"kde": 0.7, "mix": 0.5, "gkde": 1.4, "mixup": 0.3}


@dataclass(frozen=True)
class Toy:
    """A drawn regime.

    Attributes:
        candidates: As many members as non-members, shape (n, 64).
        truth: 1 = member, shape (n,).
        outsiders: Non-members that are known, shape (r, 64).
        synthetic: Shape (m, 64).
    """

    candidates: np.ndarray
    truth: np.ndarray
    outsiders: np.ndarray
    synthetic: np.ndarray

    def neighbourhood(self, k: int = 20) -> Neighbourhood:
        """The neighbourhood of candidates and known non-members, who are its pool."""
        real = np.concatenate([self.candidates, self.outsiders])
        known = np.arange(len(real)) >= len(self.candidates)
        return Neighbourhood(
            Keyed(real, np.arange(len(real))), self.synthetic, known, known,
            k=k, both_ways=True, radius="median",
        )  # fmt: skip

    def score(self, statistic: str, k: int = 1, k_scale: int = 1, width: int = 0) -> np.ndarray:
        """Score the candidates with one of the distance statistics."""
        hood = self.neighbourhood(max(k, width))
        return STATISTICS[statistic].score(hood, k, k_scale)[: len(self.candidates)]


def draw(
    regime: Regime,
    seed: int,
    members: int = 2000,
    synthetic: int = 7000,
    outsiders: int = 1000,
    asked: int = 500,
) -> Toy:
    """Draw a regime.

    Args:
        regime: Which generator.
        seed: Of everything.
        members: Training vectors of the generator.
        synthetic: Its samples.
        outsiders: Known non-members.
        asked: Members, and as many non-members, to tell apart.
    """
    rng = np.random.default_rng([seed, REGIMES.index(regime)])
    centre = rng.normal(size=(COMPONENTS, DIM))
    scale = np.exp(0.3 * rng.normal(size=COMPONENTS))

    def fresh(n: int) -> np.ndarray:
        which = rng.integers(0, COMPONENTS, n)
        tail = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, n))
        return centre[which] + rng.normal(size=(n, DIM)) * (scale[which] * tail)[:, None]

    train = fresh(members)
    samples = _generate(regime, train, fresh, synthetic, rng)
    candidates = np.concatenate([train[:asked], fresh(asked)])
    truth = np.repeat([1, 0], asked)
    return Toy(candidates, truth, fresh(outsiders), samples)


def imitate(regime: Regime, train: np.ndarray, synthetic: int, seed: int) -> np.ndarray:
    """Draw from a generator of a regime's kind (but `mix`) that learnt from given vectors."""
    return _generate(regime, train, None, synthetic, np.random.default_rng(seed))


def _generate(regime, train, fresh, m, rng) -> np.ndarray:  # type: ignore[no-untyped-def]
    if regime == "gmm":
        return _mixture(train, m, rng)
    everyone = np.arange(len(train))
    spacing, near = nearest(train, train, 5, Exclusion(everyone, everyone))
    source = rng.integers(0, len(train), m if regime != "mix" else m // 10)
    noise = rng.normal(size=(len(source), DIM)) * _NOISE[regime] / np.sqrt(DIM)
    if regime == "gkde":
        return train[source] + noise * np.median(spacing[:, 0])
    if regime == "mixup":
        partner = near[source, rng.integers(0, 5, m)]
        share = rng.random((m, 1))
        between = share * train[source] + (1 - share) * train[partner]
        return between + noise * np.median(spacing[:, 0])
    copies = train[source] + noise * spacing[source, :1]
    return copies if regime == "kde" else np.concatenate([copies, fresh(m - len(copies))])


def _mixture(train: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    seed = int(rng.integers(2**31))
    pca = PCA(16, random_state=seed).fit(train)
    mixture = GaussianMixture(
        len(train) // 10, reg_covar=1e-3, max_iter=30, random_state=seed, init_params="k-means++"
    )
    inside = mixture.fit(pca.transform(train)).sample(m)[0]
    return pca.inverse_transform(inside)
