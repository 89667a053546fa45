"""A small classifier on frozen features, which sees no synthetic image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gansfp.errors import UserError
from gansfp.features.representations import Pixels, from_spec
from gansfp.methods.base import Estimator
from gansfp.methods.heads import Perceptron, head_from_spec
from gansfp.methods.saving import load_method, save_method

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.representations import Representation
    from gansfp.methods.heads import Head

_KIND = "classifier"


class FeatureClassifier(Estimator):
    """Probability of "used" by a classifier on features of the image alone.

    It cannot see what a generator did: where it succeeds, used and unused images differ already.
    """

    uses_synthetic = "none"

    def __init__(
        self, representation: Representation | None = None, head: Head | None = None
    ) -> None:
        """Choose features and classifier; pixels and a perceptron where None."""
        self.representation = representation if representation is not None else Pixels()
        self.head: Head = head if head is not None else Perceptron()

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Fit the classifier on the labelled images that are not held out."""
        if data.benchmark.task != "membership":
            raise UserError("method: this classifier is for task=membership")
        rows = data.fit_rows
        self.head.fit(self._vectors(data, rows), data.benchmark.targets(rows))
        return self

    def predict(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Score images; see `gansfp.methods.base.Estimator`."""
        return self.head.score(self._vectors(data, rows)) if len(rows) else np.empty(0)

    def save(self, folder: Path) -> None:
        """Write options and classifier."""
        values = {"representation": self.representation.spec(), "head": self.head.spec()}
        save_method(folder, _KIND, values, self.head.arrays())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, arrays = load_method(folder, _KIND)
        method = cls(from_spec(values["representation"]), head_from_spec(values["head"]))
        method.head.restore(arrays)
        return method

    def _vectors(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.representation.encode(data.benchmark.images(rows)).astype(np.float64)
