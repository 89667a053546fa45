"""The two forests as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gansfp.errors import UserError
from gansfp.features.handcrafted.descriptor import descriptors
from gansfp.methods.base import Estimator
from gansfp.methods.forest.codec import LinearCodec, codec_from_spec
from gansfp.methods.forest.stage import Described, TwoForests
from gansfp.methods.saving import load_method, save_method

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.methods.forest.codec import Codec

BUGS = ("unsorted_names",)

_KIND = "forest"
_OPTIONS = ("trees", "top", "second_trees", "seed", "faithful_bugs")
_BLOCK = 512


class ForestEstimator(Estimator):
    """Latents, handcrafted descriptors, and `TwoForests` on them."""

    uses_synthetic = "nearest"

    def __init__(
        self,
        codec: Codec | None = None,
        trees: int = 200,
        top: int = 20,
        second_trees: int = 100,
        seed: int = 42,
        faithful_bugs: Sequence[str] = (),
    ) -> None:
        """Choose the autoencoder and the forests.

        Args:
            codec: Makes latents and errors; principal components where None.
            trees: Of the first forest.
            top: Features that it hands on.
            second_trees: Of the second forest.
            seed: Of both.
            faithful_bugs: Defects of the published code to repeat: `unsorted_names` gives the
                predictions, made in the order of file names as text, to the names in natural
                order, so that scores and images do not belong together.

        Raises:
            UserError: There is no such defect.
        """
        if unknown := sorted(set(faithful_bugs) - set(BUGS)):
            raise UserError(f"method.faithful_bugs={unknown}: choose {', '.join(BUGS)}")
        self.codec: Codec = codec if codec is not None else LinearCodec()
        self.trees, self.top, self.second_trees, self.seed = trees, top, second_trees, seed
        self.faithful_bugs = list(faithful_bugs)
        self._stage = TwoForests(trees, top, second_trees, seed)

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Fit the autoencoder on the synthetic images and the forests on the labelled ones."""
        benchmark, synthetic = data.benchmark, data.generated_rows
        if benchmark.task != "membership":
            raise UserError("method: the forests are for task=membership")
        if len(synthetic) < 2:
            raise UserError("data.root: there are no synthetic images to compare with")
        self.codec.fit(benchmark.images(synthetic))
        rows = data.fit_rows
        self._stage.fit(
            self._describe(benchmark, rows),
            benchmark.targets(rows),
            self._describe(benchmark, synthetic),
        )
        return self

    def predict(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Score images; see `gansfp.methods.base.Estimator`."""
        if not len(rows):
            return np.empty(0)
        benchmark = data.benchmark
        scores = self._stage.score(self._describe(benchmark, rows))
        test = np.isin(rows, benchmark.candidates("test"))
        if "unsorted_names" in self.faithful_bugs and test.all():
            # Rows ascend in natural order of their names.
            order = np.argsort(rows)
            names = benchmark.index.frame["sample_id"].to_numpy(dtype=str)[rows[order]]
            shuffled = np.empty_like(scores)
            shuffled[order] = scores[order][np.argsort(names)]
            return shuffled
        return scores

    def save(self, folder: Path) -> None:
        """Write options, autoencoder and forests."""
        values = {name: getattr(self, name) for name in _OPTIONS}
        arrays = {f"codec_{name}": array for name, array in self.codec.arrays().items()}
        arrays |= {f"stage_{name}": array for name, array in self._stage.arrays().items()}
        save_method(folder, _KIND, {**values, "codec": self.codec.spec()}, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, arrays = load_method(folder, _KIND)
        method = cls(codec=codec_from_spec(values.pop("codec")), **values)
        for part, prefix in ((method.codec, "codec_"), (method._stage, "stage_")):
            kept = {name: a for name, a in arrays.items() if name.startswith(prefix)}
            part.restore({name.removeprefix(prefix): array for name, array in kept.items()})
        return method

    def _describe(self, benchmark: Benchmark, rows: NDArray[np.int64]) -> Described:
        """Encode and describe block by block."""
        latents, errors, handcrafted = [], [], []
        for start in range(0, len(rows), _BLOCK):
            images = benchmark.images(rows[start : start + _BLOCK])
            latent, error = self.codec.encode(images)
            latents.append(latent)
            errors.append(error)
            handcrafted.append(descriptors(images))
        return Described(*(np.concatenate(part) for part in (latents, errors, handcrafted)))
