"""Pruned retrieval as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gansfp.errors import UserError
from gansfp.features.representations import Features, from_spec
from gansfp.methods.base import Estimator
from gansfp.methods.retrieval.pruning import candidates
from gansfp.methods.saving import load_method, save_method

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.representations import Representation

_KIND = "retrieval"
_OPTIONS = ("k", "neighbours", "prune")
_NEVER = 2.0


class RetrievalEstimator(Estimator):
    """The largest cosine of a real image to the synthetic images that keep it as a candidate.

    A real image that no synthetic one keeps scores 2 below its largest cosine: below all others.
    Candidates are drawn from all real images, labelled and not.
    """

    uses_synthetic = "nearest"
    fits_labels = False
    transductive = True

    def __init__(
        self,
        representation: Representation | None = None,
        k: int = 50,
        neighbours: int = 10,
        prune: bool = True,
    ) -> None:
        """Choose features and pruning; see `gansfp.methods.retrieval.pruning.candidates`."""
        self.representation = representation if representation is not None else Features()
        self.k, self.neighbours, self.prune = k, neighbours, prune
        self._known: tuple[Benchmark, NDArray[np.int64], NDArray[np.float64]] | None = None

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Check that there is something to compare with; nothing is learnt."""
        if data.benchmark.task != "membership":
            raise UserError("method: retrieval is for task=membership")
        if not len(data.generated_rows):
            raise UserError("data.root: there are no synthetic images to compare with")
        return self

    def predict(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Score images; see `gansfp.methods.base.Estimator`."""
        if self._known is None or self._known[0] is not data.benchmark:
            self._known = (data.benchmark, *self._score_all(data))
        return np.asarray(self._known[2][np.searchsorted(self._known[1], rows)])

    def save(self, folder: Path) -> None:
        """Write the options: nothing is learnt."""
        values = {name: getattr(self, name) for name in _OPTIONS}
        save_method(folder, _KIND, {**values, "representation": self.representation.spec()}, {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, _ = load_method(folder, _KIND)
        return cls(representation=from_spec(values.pop("representation")), **values)

    def _score_all(
        self, data: BenchmarkDataModule
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        benchmark = data.benchmark
        rows = np.sort(
            np.concatenate([benchmark.candidates("train"), benchmark.candidates("test")])
        )
        real, synthetic = (self._encode(benchmark, r) for r in (rows, data.generated_rows))
        distance, index, kept = candidates(synthetic, real, self.k, self.neighbours, self.prune)
        cosine = 1 - np.square(distance) / 2
        scores = np.full(len(rows), -1.0)
        np.maximum.at(scores, index.ravel(), cosine.ravel())
        scores -= _NEVER
        np.maximum.at(scores, index[kept], cosine[kept])
        return rows, scores

    def _encode(self, benchmark: Benchmark, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        vectors = self.representation.encode(benchmark.images(rows)).astype(np.float64)
        norm = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(norm, np.finfo(np.float64).tiny))
