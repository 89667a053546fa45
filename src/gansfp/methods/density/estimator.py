"""Likelihood ratios in principal components, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from gansfp.errors import UserError
from gansfp.features.representations import Pixels
from gansfp.methods.candidates import CandidateEstimator, check_choice
from gansfp.methods.crossfit import cross_fitted
from gansfp.methods.density import statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gansfp.features.representations import Representation
    from gansfp.methods.candidates import Candidates

    Scores = NDArray[np.float64]
    Array = NDArray[np.float64]

Statistic = Literal["domias", "gen_lra", "logistic", "forest"]

_FEW = 500


class DensityEstimator(CandidateEstimator):
    """How likely an image is among the synthetic ones, against those known not to be used."""

    kind = "density"
    options = ("statistic", "components", "k", "folds", "seed")

    def __init__(
        self,
        representation: Representation | None = None,
        statistic: Statistic = "domias",
        components: int | None = None,
        k: int = 20,
        folds: int = 10,
        seed: int = 0,
    ) -> None:
        """Choose the statistic.

        Args:
            representation: What is compared; pixels where None.
            statistic: `domias` and `gen_lra` (kernel densities), or a classifier that tells
                synthetic images from those not used: `logistic`, `forest`.
            components: Principal components of the synthetic images that it works in; None: for
                densities 8, or 16 with 500 images not used or more; for classifiers 50.
            k: Synthetic images around a candidate (`gen_lra`).
            folds: Parts that the images not used are fitted in, each without the images it scores.
            seed: Of the forest.

        Raises:
            UserError: A value is impossible.
        """
        check_choice("statistic", statistic, get_args(Statistic))
        if components is not None and components < 1:
            raise UserError(f"method.components={components}: must be at least 1")
        if folds < 2:
            raise UserError(f"method.folds={folds}: must be at least 2")
        self.representation = representation if representation is not None else Pixels()
        self.statistic, self.components, self.k = statistic, components, k
        self.folds, self.seed = folds, seed
        self.uses_synthetic = "nearest" if statistic in ("domias", "gen_lra") else "mean"

    def score_candidates(self, candidates: Candidates) -> Scores:
        """Score all candidates, each by densities that did not see its patient."""
        candidates.need_outsiders(f"method.statistic={self.statistic}")
        real = self.encode(candidates.benchmark, candidates.rows).astype(np.float64)
        synthetic = self.encode(candidates.benchmark, candidates.synthetic).astype(np.float64)
        return self.score_vectors(real, synthetic, candidates.outsider, candidates.keys)

    def score_vectors(
        self, real: Array, synthetic: Array, outsider: NDArray[np.bool_], keys: NDArray[np.generic]
    ) -> Scores:
        """Score vectors.

        Args:
            real: Candidates, shape (n, D).
            synthetic: Shape (m, D).
            outsider: Which candidates are known not to be used, shape (n,).
            keys: Patient of each candidate, shape (n,).

        Returns:
            Shape (n,).
        """
        wanted = self._components(int(outsider.sum()))
        (x,), s = reduced((real,), synthetic, wanted)

        def fit(seen: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], Scores]:
            if self.statistic in ("domias", "gen_lra") and len(seen) <= x.shape[1]:
                raise UserError(
                    f"method.components={x.shape[1]}: only {len(seen)} images known not to be used "
                    "are left to fit a density on: fewer components, or more folds"
                )
            return lambda asked: self._score(x[asked], s, x[seen])

        return cross_fitted(fit, outsider, keys, self.folds)

    def _components(self, outsiders: int) -> int:
        if self.components is not None:
            return self.components
        if self.statistic in ("domias", "gen_lra"):
            return 8 if outsiders < _FEW else 16
        return 50

    def _score(self, queries: Array, synthetic: Array, others: Array) -> Scores:
        if self.statistic == "domias":
            return statistics.domias(queries, synthetic, others)
        if self.statistic == "gen_lra":
            return statistics.gen_lra(queries, synthetic, others, self.k)
        return statistics.discriminator(queries, synthetic, others, self.statistic, self.seed)


def reduced(
    others: Sequence[NDArray[Any]], synthetic: NDArray[Any], components: int
) -> tuple[list[Array], Array]:
    """Project on the principal components of the synthetic images.

    Args:
        others: Sets of vectors, each of shape (n, D).
        synthetic: Shape (m, D).
        components: At most so many.

    Returns:
        The others, and the synthetic images, projected.
    """
    from sklearn.decomposition import PCA

    most = min(components, synthetic.shape[1], len(synthetic) - 1)
    pca = PCA(
        most, svd_solver="full" if synthetic.shape[1] <= _FEW else "randomized", random_state=0
    )
    pca.fit(synthetic)
    return [pca.transform(side) for side in others], pca.transform(synthetic)
