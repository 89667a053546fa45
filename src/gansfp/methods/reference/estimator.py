"""Reference generators of images not used, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from gansfp.errors import UserError
from gansfp.features.neighbours import nearest
from gansfp.features.representations import Pixels, from_spec
from gansfp.methods.base import Estimator
from gansfp.methods.candidates import Candidates, check_choice, encoded
from gansfp.methods.crossfit import folds_of
from gansfp.methods.density.estimator import reduced
from gansfp.methods.density.statistics import discriminator
from gansfp.methods.distance.statistics import log_distance
from gansfp.methods.reference.training import train_and_sample
from gansfp.methods.saving import load_method, save_method

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.representations import Representation
    from gansfp.forge.generator import GeneratorModule
    from gansfp.methods.base import UsesSynthetic

    Rows = NDArray[np.int64]
    Scores = NDArray[np.float64]
    Vectors = NDArray[Any]

Statistic = Literal["ratio", "logistic", "forest"]

_KIND = "reference"
_OPTIONS = ("statistic", "folds", "components", "seed")


class ReferenceEstimator(Estimator):
    """Compares the synthetic images with those of generators that learnt from images not used.

    Each patient has a fold; the generator of a fold learns from the known non-members of the other
    folds, and its samples are what every image of this fold is compared with
    (`gansfp.methods.crossfit`). A generator that scores an image that it was trained on makes it
    look like a non-member: it refuses, by the hash of its pixels.
    """

    uses_synthetic: UsesSynthetic = "nearest"
    fits_labels = False

    def __init__(
        self,
        generator: Callable[..., GeneratorModule] | None = None,
        representation: Representation | None = None,
        statistic: Statistic = "ratio",
        folds: int = 2,
        components: int = 50,
        samples: int | None = None,
        seed: int = 0,
        accelerator: str = "auto",
        precision: str = "32-true",
    ) -> None:
        """Choose generator and statistic.

        Args:
            generator: Builds one from `image_size` and `seed`; None: only to be loaded.
            representation: What is compared; pixels where None.
            statistic: `ratio`: log d_1(x, S_ref) - log d_1(x, S). `logistic`, `forest`: logit of a
                classifier that tells S from S_ref, in principal components.
            folds: Parts of the images not used; a generator each.
            components: Of the classifiers.
            samples: Images of a reference generator; None: as many as there are synthetic ones.
            seed: Of generators and forest.
            accelerator: What the generators are trained on.
            precision: In which precision.

        Raises:
            UserError: A value is impossible.
        """
        check_choice("statistic", statistic, get_args(Statistic))
        for key, value, least in (("folds", folds, 2), ("components", components, 1)):
            if value < least:
                raise UserError(f"method.{key}={value}: must be at least {least}")
        self.generator = generator
        self.representation = representation if representation is not None else Pixels()
        self.statistic, self.folds, self.components = statistic, folds, components
        self.samples, self.seed = samples, seed
        self.accelerator, self.precision = accelerator, precision
        self.uses_synthetic = "nearest" if statistic == "ratio" else "mean"
        self._references: list[NDArray[np.uint8]] = []
        self._trained_on: list[frozenset[str]] = []
        self._scored: tuple[Benchmark, Rows, Scores] | None = None

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Train a generator a fold and draw from it.

        Raises:
            UserError: The task is another, no image is known not to be used, or too few.
        """
        if data.benchmark.task != "membership":
            raise UserError("method: reference is for task=membership")
        if self.generator is None:
            raise UserError("method.generator is not set: generator@method.generator=gan")
        found = Candidates.of(data)
        found.need_outsiders("method=reference")
        fold = folds_of(found.keys, self.folds)
        self._references, self._trained_on, self._scored = [], [], None
        for number in range(self.folds):
            rows = found.rows[found.outsider & (fold != number)]
            if not len(rows):
                raise UserError(
                    f"method.folds={self.folds}: no image known not to be used is left to train on"
                )
            self._references.append(
                train_and_sample(
                    self.generator,
                    data.benchmark.images(rows),
                    self.samples or len(found.synthetic),
                    self.seed + number,
                    self.accelerator,
                    self.precision,
                )
            )
            self._trained_on.append(frozenset(_hashes(data.benchmark, rows)))
        return self

    def predict(self, data: BenchmarkDataModule, rows: Rows) -> Scores:
        """Score images; see `gansfp.methods.base.Estimator`.

        Raises:
            UserError: A generator was trained on an image that it would score.
        """
        if not self._references:
            raise RuntimeError("predict before fit")
        if self._scored is None or self._scored[0] is not data.benchmark:
            found = Candidates.of(data)
            self._scored = (data.benchmark, found.rows, self._all_scores(found))
        return self._scored[2][np.searchsorted(self._scored[1], rows)]

    def _all_scores(self, candidates: Candidates) -> Scores:
        benchmark = candidates.benchmark
        fold = folds_of(candidates.keys, self.folds)
        hashes = _hashes(benchmark, candidates.rows)
        for number, known in enumerate(self._trained_on):
            if known & set(hashes[fold == number].tolist()):
                raise UserError(
                    f"data.root: reference generator {number} was trained on images that it would "
                    "score: name the patients as in the run that trained it, or train anew"
                )
        real, synthetic = (
            encoded(self.representation, benchmark, part)
            for part in (candidates.rows, candidates.synthetic)
        )
        references = [self.representation.encode(images) for images in self._references]
        return self.score_vectors(real, synthetic, references, candidates.keys)

    def score_vectors(
        self,
        real: Vectors,
        synthetic: Vectors,
        references: Sequence[Vectors],
        keys: NDArray[Any],
    ) -> Scores:
        """Score vectors.

        Args:
            real: Candidates, shape (n, D).
            synthetic: Shape (m, D).
            references: Samples of each fold's generator, shape (r, D).
            keys: Patient of each candidate, shape (n,): decides its fold.

        Returns:
            Shape (n,).
        """
        scores = np.empty(len(real))
        fold = folds_of(keys, self.folds)
        for number, reference in enumerate(references):
            asked = np.flatnonzero(fold == number)
            if len(asked):
                scores[asked] = self._compare(real[asked], synthetic, reference)
        return scores

    def save(self, folder: Path) -> None:
        """Write options, samples of the reference generators, and what they were trained on."""
        if not self._references:
            raise RuntimeError("save before fit")
        values: dict[str, Any] = {name: getattr(self, name) for name in _OPTIONS}
        values["representation"] = self.representation.spec()
        values["trained_on"] = [sorted(known) for known in self._trained_on]
        arrays = {f"reference_{k}": images for k, images in enumerate(self._references)}
        save_method(folder, _KIND, values, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, arrays = load_method(folder, _KIND)
        trained_on = values.pop("trained_on")
        method = cls(representation=from_spec(values.pop("representation")), **values)
        method._references = [arrays[f"reference_{k}"] for k in range(len(arrays))]
        method._trained_on = [frozenset(known) for known in trained_on]
        return method

    def _compare(self, queries: Vectors, synthetic: Vectors, reference: Vectors) -> Scores:
        if self.statistic == "ratio":
            near, other = (
                log_distance(nearest(queries, side, 1)[0][:, 0]) for side in (synthetic, reference)
            )
            return np.asarray(other - near)
        (x, other), s = reduced((queries, reference), synthetic, self.components)
        return discriminator(x, s, other, self.statistic, self.seed)


def _hashes(benchmark: Benchmark, rows: Rows) -> NDArray[np.str_]:
    return benchmark.index.frame["pixel_hash"].iloc[rows].to_numpy(dtype=np.str_)
