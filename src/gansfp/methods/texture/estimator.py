"""Distance of an image's texture distributions to those of the synthetic images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gansfp.errors import UserError
from gansfp.methods.base import Estimator
from gansfp.methods.saving import load_method, save_method
from gansfp.methods.texture.distributions import QUANTILES, texture_quantiles, wasserstein

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.datamodule import BenchmarkDataModule

_KIND = "texture"
_BLOCK = 512


class TextureDistance(Estimator):
    """Real images whose texture is distributed as that of the synthetic images count as used.

    The mean quantile function of the synthetic images (their Wasserstein barycentre) stands for
    them. The score is minus the Wasserstein distance to it, each local number in units of its mean
    over the synthetic images, averaged over the local numbers.
    """

    uses_synthetic = "mean"
    fits_labels = False

    def __init__(self, quantiles: int = QUANTILES) -> None:
        """Choose how finely distributions are kept."""
        if quantiles < 2:
            raise UserError(f"method.quantiles={quantiles}: must be at least 2")
        self.quantiles = quantiles
        self._learnt: dict[str, NDArray[np.float64]] | None = None

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Average the synthetic images' distributions, and measure how far they are from that."""
        benchmark, rows = data.benchmark, data.generated_rows
        if benchmark.task != "membership":
            raise UserError("method: texture is for task=membership")
        if not len(rows):
            raise UserError("data.root: there are no synthetic images to compare with")
        blocks = [
            texture_quantiles(benchmark.images(rows[start : start + _BLOCK]), self.quantiles)
            for start in range(0, len(rows), _BLOCK)
        ]
        synthetic = np.concatenate(blocks)
        centre = synthetic.mean(axis=0)
        scale = wasserstein(synthetic, centre).mean(axis=0)
        tiny = np.finfo(np.float64).tiny
        self._learnt = {"centre": centre, "scale": np.maximum(scale, tiny)}
        return self

    def predict(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Score images; see `gansfp.methods.base.Estimator`."""
        if self._learnt is None:
            raise RuntimeError("predict before fit")
        described = texture_quantiles(data.benchmark.images(rows), self.quantiles)
        distance = wasserstein(described, self._learnt["centre"]) / self._learnt["scale"]
        return np.asarray(-distance.mean(axis=1))

    def save(self, folder: Path) -> None:
        """Write the synthetic images' distributions."""
        if self._learnt is None:
            raise RuntimeError("save before fit")
        save_method(folder, _KIND, {"quantiles": self.quantiles}, self._learnt)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, arrays = load_method(folder, _KIND)
        method = cls(**values)
        method._learnt = arrays
        return method
