"""Clustering as a benchmark method: clusters vote by the labelled images in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from gansfp.errors import UserError
from gansfp.features.neighbours import nearest
from gansfp.features.representations import Pixels, from_spec
from gansfp.methods.base import Estimator
from gansfp.methods.clusters.algorithms import NOISE, Algorithm, cluster
from gansfp.methods.saving import load_method, save_method

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.representations import Representation

    Rows = NDArray[np.int64]
    Array = NDArray[np.float64]

Pool = Literal["real", "all", "labelled"]

_KIND = "clusters"
_OPTIONS = ("algorithms", "components", "standardise", "pool", "clusters", "neighbours", "seed")


class ClusterVote(Estimator):
    """Clusters of the images of a pool; an image is called what its cluster's labelled images are.

    Features are standardised and reduced by principal components. Every algorithm puts the pool
    into clusters; a cluster votes for "used" (1) where more of its labelled images are used than
    not, DBSCAN's noise and clusters without labelled images vote 0. The score is the mean vote of
    the algorithms. An image outside the pool belongs to the cluster of its nearest pool member.

    Attributes:
        transductive: The pool holds the unlabelled test images.
    """

    def __init__(
        self,
        representation: Representation | None = None,
        algorithms: Sequence[Algorithm] = ("kmeans", "gmm", "agglomerative", "dbscan"),
        components: int | None = 50,
        standardise: bool = True,
        pool: Pool = "real",
        clusters: int = 2,
        neighbours: int = 10,
        seed: int = 42,
    ) -> None:
        """Choose features, algorithms and pool.

        Args:
            representation: What is clustered; pixels where None.
            algorithms: See `gansfp.methods.clusters.algorithms.cluster`.
            components: Principal components kept, at most as many as the pool allows; None: all.
            standardise: Bring each feature to mean 0 and standard deviation 1 first.
            pool: `real` images labelled and not, `all` images with the synthetic ones, or only the
                `labelled` ones, which makes the score inductive.
            clusters: Number of clusters, but for DBSCAN.
            neighbours: Of the affinity of spectral clustering.
            seed: Of the algorithms and the principal components.

        Raises:
            UserError: There is no such pool, or no algorithm.
        """
        if pool not in get_args(Pool) or not algorithms:
            raise UserError(
                f"method.pool={pool}: choose {', '.join(get_args(Pool))}; method.algorithms: one "
                f"or more of {', '.join(get_args(Algorithm))}"
            )
        self.representation = representation if representation is not None else Pixels()
        self.algorithms, self.components, self.standardise = (
            list(algorithms),
            components,
            standardise,
        )
        self.pool, self.clusters, self.neighbours, self.seed = pool, clusters, neighbours, seed
        self.uses_synthetic = "mean" if pool == "all" else "none"
        self.transductive = pool != "labelled"
        self._learnt: dict[str, NDArray[Any]] | None = None

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Cluster the pool and let the labelled images that are not held out vote."""
        benchmark = data.benchmark
        if benchmark.task != "membership":
            raise UserError("method: clusters are for task=membership")
        rows = self._pool_rows(data)
        raw = self.representation.encode(benchmark.images(rows)).astype(np.float64)
        learnt = self._projection(raw)
        vectors = _project(raw, learnt)
        labelled = np.flatnonzero(np.isin(rows, data.fit_rows))
        used = benchmark.targets(rows[labelled]) == 1
        found = [
            cluster(vectors, name, self.clusters, self.neighbours, self.seed)
            for name in self.algorithms
        ]
        votes = np.stack([cluster_votes(labels, labelled, used) for labels in found], axis=1)
        self._learnt = {**learnt, "vectors": vectors, "votes": votes}
        return self

    def predict(self, data: BenchmarkDataModule, rows: Rows) -> Array:
        """Score images; see `gansfp.methods.base.Estimator`."""
        if self._learnt is None:
            raise RuntimeError("predict before fit")
        if not len(rows):
            return np.empty(0)
        raw = self.representation.encode(data.benchmark.images(rows)).astype(np.float64)
        _, index = nearest(_project(raw, self._learnt), self._learnt["vectors"], 1)
        return np.asarray(self._learnt["votes"][index[:, 0]].mean(axis=1))

    def save(self, folder: Path) -> None:
        """Write options, projection, pool and votes."""
        if self._learnt is None:
            raise RuntimeError("save before fit")
        values = {name: getattr(self, name) for name in _OPTIONS}
        values["representation"] = self.representation.spec()
        save_method(folder, _KIND, values, self._learnt)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, arrays = load_method(folder, _KIND)
        method = cls(representation=from_spec(values.pop("representation")), **values)
        method._learnt = arrays
        return method

    def _pool_rows(self, data: BenchmarkDataModule) -> Rows:
        parts = [data.benchmark.candidates("train")]
        if self.pool != "labelled":
            parts.append(data.benchmark.candidates("test"))
        if self.pool == "all":
            parts.append(data.generated_rows)
        return np.concatenate(parts)

    def _projection(self, raw: Array) -> dict[str, NDArray[Any]]:
        """Learn how to standardise and reduce: (x - mean) @ weights."""
        dim = raw.shape[1]
        mean, scale = raw.mean(axis=0), np.ones(dim)
        if self.standardise:
            scale = StandardScaler().fit(raw).scale_
        weights = np.diag(1 / scale)
        if self.components is not None:
            count = min(self.components, *raw.shape)
            pca = PCA(count, random_state=self.seed).fit((raw - mean) / scale)
            weights = (pca.components_ / scale).T
        return {"mean": mean, "weights": weights}


def cluster_votes(labels: Rows, labelled: Rows, used: NDArray[np.bool_]) -> Array:
    """Name clusters by the majority of their labelled members.

    Args:
        labels: Cluster of each image, -1 for noise, shape (n,).
        labelled: Positions of the labelled images, shape (k,).
        used: Whether they are used, shape (k,).

    Returns:
        1 where an image's cluster has more used than unused members, else 0; shape (n,).
    """
    count = int(labels.max(initial=0)) + 1
    kept = labels[labelled] != NOISE
    member = labels[labelled][kept]
    balance = np.bincount(member, np.where(used[kept], 1, -1), count)
    return np.where(labels == NOISE, 0.0, (balance > 0)[np.maximum(labels, 0)].astype(np.float64))


def _project(raw: Array, learnt: dict[str, NDArray[Any]]) -> Array:
    return np.asarray((raw - learnt["mean"]) @ learnt["weights"])
