"""Frozen features and a classical classifier, as a benchmark method."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from gansfp.errors import UserError
from gansfp.features.representations import Features, from_spec
from gansfp.methods.base import Estimator, check_classes
from gansfp.methods.probe.clusters import Algorithm, Clusters, Matching
from gansfp.methods.probe.linear import Linear, LinearSoftmax
from gansfp.methods.probe.svm import LinearSVM

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.representations import Representation

    Array = NDArray[np.float64]

log = logging.getLogger(__name__)

Classifier = Literal["svm", "lda", "logistic", "kmeans", "agglomerative"]

_FILE, _ARRAYS = "probe.json", "probe.npz"
_OPTIONS = ("classifier", "reference", "svm_c", "c", "matching", "seed")


class ProbeEstimator(Estimator):
    """Features, and a linear classifier or clusters (AI Multimedia Lab, 2025, with an SVM).

    Fitted on labelled images of one kind, real ones in runs 1267, 1268, 1269 and 1271, and asked
    about synthetic ones: it tells whether the subsets' content comes through a generator.

    Attributes:
        model: The fitted classifier; None before `fit`.
    """

    def __init__(
        self,
        representation: Representation | None = None,
        classifier: Classifier = "svm",
        reference: Literal["real", "generated"] = "real",
        svm_c: float = 1.0,
        matching: Matching = "hungarian",
        seed: int = 42,
        c: float = 1.0,
    ) -> None:
        """Choose the features and what is done with them.

        Args:
            representation: From images to features; those of the default network where None.
            classifier: `svm` (linear); `lda` or `logistic`, whose probabilities are the model's
                own; or clusters that are named by the labels: `kmeans`, `agglomerative`.
            reference: Which labelled images it is fitted on.
            svm_c: Penalty of the SVM.
            matching: How clusters get their class: `hungarian`, or `none` as published.
            seed: Of k-means.
            c: Inverse of the penalty of `logistic`, on standardised features.

        Raises:
            UserError: A value is impossible.
        """
        choices = {
            "classifier": (classifier, get_args(Classifier)),
            "reference": (reference, ("real", "generated")),
            "matching": (matching, get_args(Matching)),
        }
        for key, (value, allowed) in choices.items():
            if value not in allowed:
                raise UserError(f"method.{key}={value}: choose {', '.join(allowed)}")
        self.representation = representation if representation is not None else Features()
        self.classifier, self.reference, self.svm_c = classifier, reference, svm_c
        self.matching, self.seed, self.c = matching, seed, c
        self.model: LinearSVM | LinearSoftmax | Clusters | None = None
        self._classes: tuple[str, ...] = ()

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Fit the classifier on the labelled images that are not held out.

        Raises:
            UserError: The task is another, or a class has no image.
        """
        benchmark = data.benchmark
        if benchmark.task != "attribution":
            raise UserError("method=probe is for task=attribution")
        rows = np.intersect1d(data.fit_rows, benchmark.rows("train", self.reference))
        targets = benchmark.targets(rows)
        missing = set(range(len(benchmark.classes))) - set(targets.tolist())
        if missing:
            name = benchmark.classes[min(missing)]
            raise UserError(f"data.root: class {name} has no {self.reference} image to fit on")
        self._classes = tuple(benchmark.classes)
        features, number = self._encode(data, rows), len(self._classes)
        if self.classifier == "svm":
            self.model = LinearSVM.fit(features, targets, number, self.svm_c)
            return self
        if self.classifier == "lda" or self.classifier == "logistic":
            self.model = LinearSoftmax.fit(features, targets, self.classifier, self.c)
            return self
        algorithm: Algorithm = self.classifier
        self.model = Clusters.fit(features, targets, number, algorithm, self.matching, self.seed)
        log.info(
            "%s on %d %s images: %.4f in the cluster of their class, matched; %.4f by number",
            algorithm, len(rows), self.reference, self.model.matched, self.model.unmatched,
        )  # fmt: skip
        return self

    def predict(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> Array:
        """Classify images; see `Estimator`. The SVM gives shares of pairwise votes."""
        if self.model is None:
            raise RuntimeError("predict before fit")
        check_classes(self._classes, data.benchmark.classes)
        features = self._encode(data, rows)
        if isinstance(self.model, LinearSVM):
            return self.model.votes(features)
        return self.model.probabilities(features)

    def save(self, folder: Path) -> None:
        """Write the options as JSON and the classifier as npz."""
        if self.model is None:
            raise RuntimeError("save before fit")
        folder.mkdir(parents=True, exist_ok=True)
        content: dict[str, Any] = {
            "options": {name: getattr(self, name) for name in _OPTIONS},
            "representation": self.representation.spec(),
            "classes": list(self._classes),
        }
        arrays: dict[str, NDArray[Any]]
        if isinstance(self.model, (LinearSVM, LinearSoftmax)):
            arrays = {"coef": self.model.coef, "intercept": self.model.intercept}
        else:
            arrays = {"centres": self.model.centres, "classes": self.model.classes}
            content["labelled"] = {
                "matched": self.model.matched,
                "unmatched": self.model.unmatched,
            }
        np.savez(folder / _ARRAYS, **arrays)  # type: ignore[arg-type]
        (folder / _FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: There is no such file.
        """
        path = folder / _FILE
        if not path.is_file():
            raise UserError(f"{path}: no saved classifier; has the run finished?")
        content = json.loads(path.read_text(encoding="utf-8"))
        method = cls(from_spec(content["representation"]), **content["options"])
        method._classes = tuple(content["classes"])
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            if method.classifier == "svm":
                method.model = LinearSVM(arrays["coef"], arrays["intercept"], len(method._classes))
            elif method.classifier in get_args(Linear):
                method.model = LinearSoftmax(arrays["coef"], arrays["intercept"])
            else:
                method.model = Clusters(arrays["centres"], arrays["classes"], **content["labelled"])
        return method

    def _encode(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> Array:
        images = data.benchmark.images(rows)
        return self.representation.encode(images).astype(np.float64)
