"""Similarity to the synthetic images as a benchmark method, with or without a classifier on top."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gansfp.errors import UserError
from gansfp.features.similarities import Cosine, similarity_from_spec
from gansfp.methods.base import Estimator
from gansfp.methods.heads import head_from_spec
from gansfp.methods.saving import load_method, save_method
from gansfp.methods.similarity.statistics import AMONG_ALL, NEAREST, real_to_real, statistic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.similarities import Similarity
    from gansfp.methods.heads import Head
    from gansfp.methods.similarity.statistics import Baseline, Statistic

    Rows = NDArray[np.int64]

_KIND = "similarity"


class SimilarityEstimator(Estimator):
    """Every real image against every synthetic one.

    The similarities of an image are summarised by one statistic, which is its score, or by several,
    which a classifier learns from. With a baseline, the score is what the statistic exceeds the
    similarity of real images to each other by: 0 is then a natural cut.

    Attributes:
        transductive: A statistic compares with the unlabelled test images.
    """

    def __init__(
        self,
        similarity: Similarity | None = None,
        statistics: Sequence[Statistic] = ("max",),
        top: int = 5,
        head: Head | None = None,
        baseline: Baseline | None = None,
    ) -> None:
        """Choose what is compared and how it is summarised.

        Args:
            similarity: Cosine of pixels where None.
            statistics: One, or with a head one or more; see `statistics.statistic`.
            top: Synthetic images of the statistic `top`.
            head: Classifier that learns from the statistics of the labelled images.
            baseline: Similarity of labelled real images that is subtracted: `max` or `mean_sd`.

        Raises:
            UserError: Statistics, head and baseline do not fit.
        """
        self.statistics = list(statistics)
        if not self.statistics or (head is None and len(self.statistics) > 1):
            raise UserError(
                f"method.statistics={self.statistics}: one, or several with a method.head"
            )
        if baseline is not None and head is not None:
            raise UserError("method.baseline: goes with a single statistic, not with method.head")
        self.similarity: Similarity = similarity if similarity is not None else Cosine()
        self.top, self.head, self.baseline = top, head, baseline
        self.fits_labels = head is not None
        self.uses_synthetic = "nearest" if NEAREST & set(self.statistics) else "mean"
        self.transductive = bool(AMONG_ALL & set(self.statistics))
        self._level: float | None = None
        self._compared: tuple[Benchmark, Rows, Rows, NDArray[np.float32]] | None = None

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Measure the baseline, or fit the classifier on the labelled images not held out."""
        benchmark = data.benchmark
        if benchmark.task != "membership":
            raise UserError("method: similarity is for task=membership")
        self._level = 0.0
        if self.baseline is not None:
            rows = benchmark.candidates("train")
            images = benchmark.images(rows)
            among = self.similarity.matrix(images, images)
            self._level = real_to_real(among, benchmark.groups(rows), self.baseline)
        if self.head is not None:
            rows = data.fit_rows
            self.head.fit(self._summaries(data, rows), benchmark.targets(rows))
        return self

    def predict(self, data: BenchmarkDataModule, rows: Rows) -> NDArray[np.float64]:
        """Score images; see `gansfp.methods.base.Estimator`."""
        if self._level is None:
            raise RuntimeError("predict before fit")
        if not len(rows):
            return np.empty(0)
        summaries = self._summaries(data, rows)
        return summaries[:, 0] - self._level if self.head is None else self.head.score(summaries)

    def save(self, folder: Path) -> None:
        """Write options, baseline and classifier."""
        if self._level is None:
            raise RuntimeError("save before fit")
        values = {
            "similarity": self.similarity.spec(),
            "head": self.head.spec() if self.head is not None else None,
            "statistics": self.statistics,
            "top": self.top,
            "baseline": self.baseline,
            "level": self._level,
        }
        save_method(folder, _KIND, values, self.head.arrays() if self.head is not None else {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, arrays = load_method(folder, _KIND)
        level = values.pop("level")
        method = cls(
            similarity=similarity_from_spec(values.pop("similarity")),
            head=head_from_spec(values.pop("head")),
            **values,
        )
        method._level = level
        if method.head is not None:
            method.head.restore(arrays)
        return method

    def _summaries(self, data: BenchmarkDataModule, rows: Rows) -> NDArray[np.float64]:
        """Summarise the similarities of some real images, shape (n, statistics)."""
        candidates, matrix = self._matrix(data)
        place = np.searchsorted(candidates, rows)
        columns = [
            statistic(matrix, name, self.top)[place]
            if name in AMONG_ALL
            else statistic(matrix[place], name, self.top)
            for name in self.statistics
        ]
        return np.stack(columns, axis=1)

    def _matrix(self, data: BenchmarkDataModule) -> tuple[Rows, NDArray[np.float32]]:
        """Compare all candidates with the synthetic images, once a benchmark."""
        benchmark, synthetic = data.benchmark, data.generated_rows
        known = self._compared
        if known is not None and known[0] is benchmark and np.array_equal(known[1], synthetic):
            return known[2], known[3]
        if not len(synthetic):
            raise UserError("data.root: there are no synthetic images to compare with")
        candidates = np.sort(
            np.concatenate([benchmark.candidates("train"), benchmark.candidates("test")])
        )
        matrix = self.similarity.matrix(benchmark.images(candidates), benchmark.images(synthetic))
        self._compared = (benchmark, synthetic, candidates, matrix)
        return candidates, matrix
