"""Patch mosaics as a benchmark method."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np

from gansfp.errors import UserError
from gansfp.features.neighbours import Exclusion
from gansfp.features.patches import mosaic_distances
from gansfp.features.residuals import check_denoiser, residuals
from gansfp.methods.base import Estimator, check_classes
from gansfp.methods.choice import ConditionalLogit
from gansfp.methods.keys import exclusion_keys
from gansfp.methods.saving import load_method, save_method

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.datamodule import BenchmarkDataModule

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

References = Literal["real", "generated", "both"]
_KIND = "mosaic"
_OPTIONS = ("sides", "stride", "inputs", "references", "fit_images", "penalty", "seed", "device")
_FLOOR = 1e-7
"""A mean squared distance far below one grey value: that of an exact copy."""


class MosaicEstimator(Estimator):
    """The subset whose images an image can best be laid out of, patch by patch.

    Evidence for a class is the logarithm of the mean distance of an image's patches to the nearest
    ones of the class (`gansfp.features.patches`), for each size of patches, kind of input and kind
    of reference; one regression weighs it, the same for every class
    (`gansfp.methods.choice`).

    Attributes:
        model: The regression; None before `fit`.
    """

    def __init__(
        self,
        sides: Sequence[int] = (9, 15, 21, 27),
        stride: int = 4,
        inputs: Sequence[str] = ("pixels",),
        references: References = "real",
        fit_images: int = 2000,
        penalty: float = 1.0,
        seed: int = 0,
        device: str = "auto",
    ) -> None:
        """Choose the patches.

        Args:
            sides: Sides of the patches, odd numbers of pixels.
            stride: Pixels between places.
            inputs: `pixels`, or a denoiser whose residual is compared.
            references: Which labelled images patches are taken from: a subset's `real` images, its
                `generated` ones, or `both`, as evidence of their own.
            fit_images: So many synthetic training images, chosen at random, fit the regression.
            penalty: Of the regression's weights.
            seed: Of that choice.
            device: `auto` (the GPU where there is one), `cpu`, `cuda`, ...

        Raises:
            UserError: A value is impossible.
        """
        if not sides or any(side < 1 or side % 2 == 0 for side in sides):
            raise UserError(f"method.sides={list(sides)}: give odd numbers of pixels")
        if stride < 1 or fit_images < 1:
            raise UserError(f"method.stride={stride}, fit_images={fit_images}: at least 1")
        if references not in get_args(References):
            raise UserError(f"method.references={references}: choose real, generated or both")
        for name in inputs:
            if name != "pixels":
                check_denoiser(name)
        self.sides, self.stride, self.inputs = list(sides), stride, list(inputs)
        self.references: References = references
        self.fit_images, self.penalty, self.seed = fit_images, penalty, seed
        self.device = device
        self.model: ConditionalLogit | None = None
        self._classes: tuple[str, ...] = ()
        self._known: list[_References] = []

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Fit the regression on synthetic training images, none compared with itself.

        Where none may be fitted on (`data.fit_role=real`) all evidence weighs 1.

        Raises:
            UserError: The task is another, or a class has too few images.
        """
        benchmark = data.benchmark
        if benchmark.task != "attribution":
            raise UserError("method=mosaic is for task=attribution")
        self._classes = tuple(benchmark.classes)
        roles = ("real", "generated") if self.references == "both" else (self.references,)
        self._known = [_References.of(data, role) for role in roles]
        rows = np.intersect1d(data.fit_rows, benchmark.rows("train", "generated"))
        if not len(rows):
            kinds = len(self.inputs) * len(self._known) * len(self.sides)
            self.model = ConditionalLogit(np.ones(kinds))
            return self
        shuffled = np.random.default_rng([self.seed, len(rows)]).permutation(rows)
        rows = np.sort(shuffled[: self.fit_images])
        features = self._evidence(data, rows)
        self.model = ConditionalLogit.fit(features, benchmark.targets(rows), self.penalty)
        return self

    def predict(self, data: BenchmarkDataModule, rows: Rows) -> Array:
        """Classify images; see `gansfp.methods.base.Estimator`."""
        if self.model is None:
            raise RuntimeError("predict before fit")
        check_classes(self._classes, data.benchmark.classes)
        return self.model.probabilities(self._evidence(data, rows))

    def _evidence(self, data: BenchmarkDataModule, rows: Rows) -> Array:
        """Measure how near each class is: shape (n, classes, kinds of evidence)."""
        benchmark = data.benchmark
        kinds = []
        keys = exclusion_keys(benchmark, rows)
        for name in self.inputs:
            queries = _input(benchmark.images(rows), name)
            for known in self._known:
                references = _input(known.images, name)
                exclude = Exclusion(keys, known.keys)
                for side in self.sides:
                    found = mosaic_distances(
                        queries, references, known.targets, side, self.stride, exclude, self.device
                    )
                    kinds.append(-np.log(np.maximum(found, _FLOOR)))
        return np.stack(kinds, axis=2)

    def save(self, folder: Path) -> None:
        """Write options, weights, and the images that patches are taken from."""
        if self.model is None:
            raise RuntimeError("save before fit")
        values = {
            "options": {name: getattr(self, name) for name in _OPTIONS},
            "classes": list(self._classes),
        }
        arrays = {
            f"{field}_{number}": getattr(known, field)
            for number, known in enumerate(self._known)
            for field in _FIELDS
        }
        save_method(folder, _KIND, values, {"weights": self.model.weights, **arrays})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: There is no such file.
        """
        values, arrays = load_method(folder, _KIND)
        method = cls(**values["options"])
        method._classes = tuple(values["classes"])
        method.model = ConditionalLogit(arrays["weights"])
        method._known = [
            _References(*(arrays[f"{field}_{number}"] for field in _FIELDS))
            for number in range((len(arrays) - 1) // len(_FIELDS))
        ]
        return method


@dataclass(frozen=True)
class _References:
    """Labelled images that patches are taken from.

    Attributes:
        images: uint8, shape (m, H, W).
        targets: Their classes, shape (m,).
        keys: What no image is compared with itself by, shape (m,).
    """

    images: NDArray[np.uint8]
    targets: NDArray[np.int64]
    keys: NDArray[np.str_]

    @classmethod
    def of(cls, data: BenchmarkDataModule, role: str) -> _References:
        benchmark = data.benchmark
        rows = np.intersect1d(data.fit_rows, benchmark.rows("train", role))
        targets = benchmark.targets(rows)
        counts = np.bincount(targets, minlength=len(benchmark.classes))
        for name, count in zip(benchmark.classes, counts, strict=True):
            if count < 2:
                raise UserError(
                    f"data.root: class {name} has {count} {role} images to take patches from, "
                    "method=mosaic needs 2"
                )
        return cls(benchmark.images(rows), targets, exclusion_keys(benchmark, rows))


_FIELDS = tuple(field.name for field in fields(_References))


def _input(images: NDArray[np.uint8], name: str) -> NDArray[np.float32]:
    if name == "pixels":
        return np.asarray(images / np.float32(255), np.float32)
    check_denoiser(name)
    return residuals(images, name)  # type: ignore[arg-type]
