"""Noise-residual fingerprints as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np

from gansfp.errors import UserError
from gansfp.features.residuals import check_denoiser, residuals
from gansfp.methods.base import Estimator, check_classes
from gansfp.methods.fingerprint.patterns import Whitening, class_means, correlations
from gansfp.methods.probe.linear import LinearSoftmax
from gansfp.methods.saving import load_method, save_method

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.residuals import Denoiser

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

Reference = Literal["generated", "real"]

_KIND = "fingerprint"
_OPTIONS = ("denoiser", "whiten", "subtract_real", "reference", "folds", "seed")
_BLOCK = 512


class FingerprintEstimator(Estimator):
    """Correlation of an image's noise with the mean noise of each generator.

    The fingerprint of a class is the mean residual of its synthetic training images (Marra et al.,
    "Do GANs leave artificial fingerprints?", MIPR 2019). Probabilities come from a multinomial
    regression on correlations that are out of fold: each training image is correlated with
    fingerprints of other images.

    Attributes:
        fingerprints: Shape (classes, H * W), whitened; None before `fit`.
    """

    def __init__(
        self,
        denoiser: Denoiser = "gaussian",
        whiten: bool = True,
        subtract_real: bool = False,
        reference: Reference = "generated",
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        """Choose the residual.

        Args:
            denoiser: What leaves the residual; see `gansfp.features.residuals`.
            whiten: Give real residuals, of all classes together, zero mean and a flat spectrum,
                and treat synthetic ones alike.
            subtract_real: Take the mean residual of a class's real images from its fingerprint:
                anatomy that a generator shows because its subset does is no fingerprint.
            reference: Fingerprints are those of a class's `generated` images, or, to see what its
                `real` images alone would give, of these.
            folds: Of the correlations that the regression is fitted on.
            seed: Of these folds.

        Raises:
            UserError: A value is impossible.
        """
        check_denoiser(denoiser)
        if folds < 2:
            raise UserError(f"method.folds={folds}: at least 2 are needed")
        self.denoiser: Denoiser = denoiser
        if reference not in get_args(Reference):
            raise UserError(f"method.reference={reference}: choose generated or real")
        if reference == "real" and subtract_real:
            raise UserError("method.subtract_real leaves nothing of method.reference=real")
        self.whiten, self.subtract_real = whiten, subtract_real
        self.reference: Reference = reference
        self.folds, self.seed = folds, seed
        self.fingerprints: Array | None = None
        self._whitening: Whitening | None = None
        self._model: LinearSoftmax | None = None
        self._classes: tuple[str, ...] = ()

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Average residuals of the training images that are not held out.

        Raises:
            UserError: The task is another, or a class has too few images.
        """
        benchmark = data.benchmark
        if benchmark.task != "attribution":
            raise UserError("method=fingerprint is for task=attribution")
        self._classes = tuple(benchmark.classes)
        rows = np.intersect1d(data.fit_rows, benchmark.rows("train", self.reference))
        targets = benchmark.targets(rows)
        self._check_enough(targets, self.folds, self.reference)
        self._whitening, content = self._measure_real(data)
        fold = self._fold_numbers(targets, benchmark.groups(rows))
        sums = np.zeros((self.folds, len(self._classes), self._whitening.mean.size))
        for part, vectors in self._vectors(data, rows):
            np.add.at(sums, (fold[part], targets[part]), vectors)
        # Pearson's r needs no scale, but the real mean that is subtracted does.
        counts = np.zeros(sums.shape[:2])
        np.add.at(counts, (fold, targets), 1)
        self.fingerprints = sums.sum(axis=0) / counts.sum(axis=0)[:, None] - content
        others = (sums.sum(axis=0) - sums) / (counts.sum(axis=0) - counts)[:, :, None] - content
        out_of_fold = np.empty((len(rows), len(self._classes)))
        for part, vectors in self._vectors(data, rows):
            for k in range(self.folds):
                chosen = fold[part] == k
                out_of_fold[part][chosen] = correlations(vectors[chosen], others[k])
        self._model = LinearSoftmax.fit(out_of_fold, targets, "logistic")
        return self

    def predict(self, data: BenchmarkDataModule, rows: Rows) -> Array:
        """Classify images; see `gansfp.methods.base.Estimator`."""
        if self.fingerprints is None or self._model is None:
            raise RuntimeError("predict before fit")
        check_classes(self._classes, data.benchmark.classes)
        found = np.empty((len(rows), len(self._classes)))
        for part, vectors in self._vectors(data, rows):
            found[part] = correlations(vectors, self.fingerprints)
        return self._model.probabilities(found)

    def save(self, folder: Path) -> None:
        """Write options, fingerprints, whitening and regression."""
        if self.fingerprints is None or self._model is None or self._whitening is None:
            raise RuntimeError("save before fit")
        values = {
            "options": {name: getattr(self, name) for name in _OPTIONS},
            "classes": list(self._classes),
        }
        arrays = {
            "fingerprints": self.fingerprints,
            "mean": self._whitening.mean,
            "gain": self._whitening.gain,
            "coef": self._model.coef,
            "intercept": self._model.intercept,
        }
        save_method(folder, _KIND, values, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: There is no such file.
        """
        values, arrays = load_method(folder, _KIND)
        method = cls(**values["options"])
        method._classes = tuple(values["classes"])
        method.fingerprints = arrays["fingerprints"]
        method._whitening = Whitening(arrays["mean"], arrays["gain"])
        method._model = LinearSoftmax(arrays["coef"], arrays["intercept"])
        return method

    def _measure_real(self, data: BenchmarkDataModule) -> tuple[Whitening, Array | float]:
        """Give the whitening and, where it is to be subtracted, each class's mean real vector."""
        benchmark = data.benchmark
        whitening = Whitening.none(*benchmark.image_size)
        if not (self.whiten or self.subtract_real):
            return whitening, 0.0
        rows = np.intersect1d(data.fit_rows, benchmark.rows("train", "real"))
        targets = benchmark.targets(rows)
        self._check_enough(targets, 1, "real")
        found = residuals(benchmark.images(rows), self.denoiser)
        if self.whiten:
            whitening = Whitening.fit(found)
        if not self.subtract_real:
            return whitening, 0.0
        return whitening, class_means(whitening.apply(found), targets, len(self._classes))

    def _check_enough(self, targets: NDArray[np.int64], needed: int, role: str) -> None:
        counts = np.bincount(targets, minlength=len(self._classes))
        if counts.min() < needed:
            name = self._classes[int(counts.argmin())]
            raise UserError(
                f"data.root: class {name} has {counts.min()} {role} images to fit on, "
                f"method=fingerprint needs {needed}"
            )

    def _fold_numbers(
        self, targets: NDArray[np.int64], groups: NDArray[np.str_]
    ) -> NDArray[np.int64]:
        from sklearn.model_selection import StratifiedGroupKFold

        splitter = StratifiedGroupKFold(self.folds, shuffle=True, random_state=self.seed)
        fold = np.empty(len(targets), dtype=np.int64)
        for k, (_, held_out) in enumerate(splitter.split(targets, targets, groups)):
            fold[held_out] = k
        return fold

    def _vectors(self, data: BenchmarkDataModule, rows: Rows) -> Iterator[tuple[slice, Array]]:
        """Yield whitened residuals block by block: a contest's do not fit into memory."""
        if self._whitening is None:
            raise RuntimeError("no whitening before fit")
        for start in range(0, len(rows), _BLOCK):
            part = slice(start, min(start + _BLOCK, len(rows)))
            found = residuals(data.benchmark.images(rows[part]), self.denoiser)
            yield part, self._whitening.apply(found)
