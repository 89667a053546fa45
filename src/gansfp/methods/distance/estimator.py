"""Distance to the synthetic images, or to each subset's images, as a benchmark method."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from gansfp.errors import UserError
from gansfp.features.neighbours import Exclusion
from gansfp.features.representations import Pixels, from_spec
from gansfp.methods.base import Estimator
from gansfp.methods.distance import statistics

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.representations import Representation

    Rows = NDArray[np.int64]

Statistic = Literal["nearest", "pool_ratio"]
Pool = Literal["all", "labelled"]
Reference = Literal["real", "generated"]
Rule = Literal["distance", "vote"]

_OPTIONS = "distance.json"
_ARRAYS = "distance.npz"


class DistanceEstimator(Estimator):
    """Nearest-neighbour statistics on a fixed representation.

    Membership: how near the synthetic images come to a real one, absolutely (`nearest`) or against
    the spacing of the real images (`pool_ratio`). Attribution: which subset's training images, real
    or generated, a synthetic image is nearest to.

    No label enters a statistic, but for the class of a reference image in attribution, and no image
    is compared with itself or with its group. Labelled images may therefore all be scored.

    Attributes:
        transductive: `pool_ratio` with pool `all`: the pool holds unlabelled test images.
    """

    uses_synthetic = "nearest"
    fits_labels = False

    def __init__(
        self,
        representation: Representation | None = None,
        statistic: Statistic = "nearest",
        k: int = 1,
        k_pool: int = 1,
        pool: Pool = "all",
        reference: Reference = "real",
        rule: Rule = "distance",
        temperature: float = 0.1,
    ) -> None:
        """Choose the statistic.

        Args:
            representation: What is compared; pixels where None.
            statistic: Membership: `nearest` or `pool_ratio`.
            k: Neighbours among synthetic images (`nearest`) or references (attribution).
            k_pool: Which neighbour in the pool gives the local scale (`pool_ratio`).
            pool: `all` real images, or only the `labelled` ones, which makes the score inductive.
            reference: Attribution: compare with the `real` or with the `generated` training images
                of each class.
            rule: Attribution: mean `distance` to k neighbours of each class, or `vote` of k.
            temperature: Attribution: sharpness of the probabilities.

        Raises:
            UserError: A value is impossible.
        """
        _check_choice("statistic", statistic, get_args(Statistic))
        _check_choice("pool", pool, get_args(Pool))
        _check_choice("reference", reference, get_args(Reference))
        _check_choice("rule", rule, get_args(Rule))
        if temperature <= 0:
            raise UserError(f"method.temperature={temperature}: must be positive")
        self.representation = representation if representation is not None else Pixels()
        self.statistic, self.k, self.k_pool, self.pool = statistic, k, k_pool, pool
        self.reference, self.rule, self.temperature = reference, rule, temperature
        self.transductive = statistic == "pool_ratio" and pool == "all"
        self._task = ""
        self._classes: tuple[str, ...] = ()
        self._arrays: dict[str, NDArray[Any]] = {}

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Encode what candidates are compared with; nothing is learnt."""
        benchmark = data.benchmark
        self._task, self._classes = benchmark.task, tuple(benchmark.classes)
        if benchmark.task == "membership":
            synthetic = _not_empty(data.generated_rows, "synthetic images")
            self._arrays = {"synthetic": self._encode(benchmark, synthetic)}
            if self.statistic == "pool_ratio":
                self._keep(benchmark, self._pool_rows(benchmark))
        else:
            if self.statistic == "pool_ratio":
                raise UserError("method.statistic=pool_ratio is for task=membership: use nearest")
            rows = self._class_rows(benchmark)
            self._keep(benchmark, rows)
            names = {name: c for c, name in enumerate(self._classes)}
            labels = [names[label] for label in benchmark.labels(rows)]
            self._arrays["labels"] = np.array(labels, dtype=np.int64)
        return self

    def predict(self, data: BenchmarkDataModule, rows: Rows) -> NDArray[np.float64]:
        """Score images; see `gansfp.methods.base.Estimator`."""
        benchmark = data.benchmark
        if not self._arrays:
            raise RuntimeError("predict before fit")
        if (benchmark.task, tuple(benchmark.classes)) != (self._task, self._classes):
            raise UserError(
                f"data.root: a {benchmark.task} benchmark with classes {list(benchmark.classes)}; "
                f"the method was fitted for {self._task} with {list(self._classes)}"
            )
        queries = self._encode(benchmark, rows)
        if benchmark.task == "attribution":
            return self._attribute(queries, exclusion_keys(benchmark, rows))
        synthetic = self._arrays["synthetic"]
        if self.statistic == "nearest":
            return statistics.nearest_synthetic(queries, synthetic, self.k)
        keys = Exclusion(exclusion_keys(benchmark, rows), self._arrays["keys"])
        return statistics.pool_ratio(
            queries, synthetic, self._arrays["references"], keys, self.k_pool
        )

    def save(self, folder: Path) -> None:
        """Write the options as JSON and the encoded references as npz."""
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "options": {
                name: getattr(self, name)
                for name in ("statistic", "k", "k_pool", "pool", "reference", "rule", "temperature")
            },
            "representation": self.representation.spec(),
            "task": self._task,
            "classes": list(self._classes),
        }
        (folder / _OPTIONS).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        np.savez(folder / _ARRAYS, allow_pickle=False, **self._arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: A file is missing.
        """
        if not (folder / _OPTIONS).is_file() or not (folder / _ARRAYS).is_file():
            raise UserError(f"{folder}: holds no saved distance method; has the run finished?")
        content = json.loads((folder / _OPTIONS).read_text(encoding="utf-8"))
        method = cls(representation=from_spec(content["representation"]), **content["options"])
        method._task, method._classes = content["task"], tuple(content["classes"])
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            method._arrays = dict(arrays)
        return method

    def _attribute(self, queries: NDArray[np.float32], keys: NDArray[Any]) -> NDArray[np.float64]:
        references, labels = self._arrays["references"], self._arrays["labels"]
        exclude, n = Exclusion(keys, self._arrays["keys"]), len(self._classes)
        k = self.k if self.rule == "distance" else 1
        distances = statistics.class_distances(queries, references, labels, n, k, exclude)
        by_distance = statistics.distance_probabilities(distances, self.temperature)
        if self.rule == "distance":
            return by_distance
        shares = statistics.class_votes(queries, references, labels, n, self.k, exclude)
        return statistics.blend_votes(shares, by_distance)

    def _pool_rows(self, benchmark: Benchmark) -> Rows:
        labelled = benchmark.candidates("train")
        if self.pool == "labelled":
            return _not_empty(labelled, "labelled real images")
        return np.concatenate([labelled, benchmark.candidates("test")])

    def _class_rows(self, benchmark: Benchmark) -> Rows:
        rows: Rows = benchmark.rows(split="train", role=self.reference)
        found = set(benchmark.labels(rows))
        for name in benchmark.classes:
            if name not in found:
                raise UserError(
                    f"data.root: class {name} has no {self.reference} training image: set "
                    f"method.reference={'generated' if self.reference == 'real' else 'real'}"
                )
        return rows

    def _keep(self, benchmark: Benchmark, rows: Rows) -> None:
        self._arrays["references"] = self._encode(benchmark, rows)
        self._arrays["keys"] = exclusion_keys(benchmark, rows)

    def _encode(self, benchmark: Benchmark, rows: Rows) -> NDArray[np.float32]:
        return self.representation.encode(benchmark.images(rows))


def exclusion_keys(benchmark: Benchmark, rows: Rows) -> NDArray[np.str_]:
    """Name what an image must not be compared with: its group, or itself where none is known.

    An image without a group is named by its pixels, so that its copy in another set is itself, and
    an image of another benchmark that happens to have its file name is not.

    Returns:
        Keys, shape (n,).
    """
    frame = benchmark.index.frame.iloc[rows]
    known = (frame["group"] != frame["sample_id"]).to_numpy()
    groups = ("group:" + frame["group"].astype(str)).to_numpy(dtype=np.str_)
    pixels = ("pixels:" + frame["pixel_hash"].astype(str)).to_numpy(dtype=np.str_)
    return np.where(known, groups, pixels)


def _check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"method.{key}={value}: choose {', '.join(choices)}")


def _not_empty(rows: Rows, what: str) -> Rows:
    if len(rows) == 0:
        raise UserError(f"data.root: there are no {what} to compare with")
    return rows
