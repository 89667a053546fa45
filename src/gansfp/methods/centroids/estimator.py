"""Distance to the nearest centre of the synthetic images' clusters, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.cluster import KMeans

from gansfp.errors import UserError
from gansfp.features.neighbours import nearest
from gansfp.features.representations import Pixels, from_spec
from gansfp.methods.base import Estimator
from gansfp.methods.saving import load_method, save_method

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.representations import Representation

_KIND = "centroids"


class CentroidDistance(Estimator):
    """K-means on the synthetic images; a real image near to a centre counts as used.

    The score is minus the distance to the nearest centre. No label enters it.
    """

    uses_synthetic = "mean"
    fits_labels = False

    def __init__(
        self, representation: Representation | None = None, clusters: int = 10, seed: int = 42
    ) -> None:
        """Choose features and the number of centres.

        Args:
            representation: What is compared; pixels where None.
            clusters: Centres, at most as many as there are synthetic images.
            seed: Of k-means, which starts 10 times.
        """
        self.representation = representation if representation is not None else Pixels()
        self.clusters, self.seed = clusters, seed
        self._centres: NDArray[np.float64] | None = None

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Find the centres."""
        if data.benchmark.task != "membership":
            raise UserError("method: centroids are for task=membership")
        rows = data.generated_rows
        if not len(rows):
            raise UserError("data.root: there are no synthetic images to compare with")
        vectors = self.representation.encode(data.benchmark.images(rows)).astype(np.float64)
        count = min(self.clusters, len(rows))
        model = KMeans(count, n_init=10, random_state=self.seed).fit(vectors)
        self._centres = np.asarray(model.cluster_centers_, dtype=np.float64)
        return self

    def predict(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Score images; see `gansfp.methods.base.Estimator`."""
        if self._centres is None:
            raise RuntimeError("predict before fit")
        if not len(rows):
            return np.empty(0)
        vectors = self.representation.encode(data.benchmark.images(rows))
        return -nearest(vectors, self._centres, 1)[0][:, 0]

    def save(self, folder: Path) -> None:
        """Write options and centres."""
        if self._centres is None:
            raise RuntimeError("save before fit")
        values = {"clusters": self.clusters, "seed": self.seed}
        shown = {**values, "representation": self.representation.spec()}
        save_method(folder, _KIND, shown, {"centres": self._centres})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, arrays = load_method(folder, _KIND)
        method = cls(representation=from_spec(values.pop("representation")), **values)
        method._centres = arrays["centres"]
        return method
