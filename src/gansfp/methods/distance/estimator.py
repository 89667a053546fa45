"""Distance to the synthetic images, or to each subset's images, as a benchmark method."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np

from gansfp.errors import UserError
from gansfp.features.representations import Pixels, from_spec
from gansfp.methods.base import Estimator
from gansfp.methods.candidates import Candidates, check_choice
from gansfp.methods.distance import statistics
from gansfp.methods.distance.membership import STATISTICS, Statistic, dpi_neighbours
from gansfp.methods.distance.neighbourhood import Keyed, Neighbourhood
from gansfp.methods.distance.statistics import References
from gansfp.methods.keys import exclusion_keys

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.representations import Representation

    Rows = NDArray[np.int64]
    Vectors = NDArray[np.float32]

Pool = Literal["all", "labelled"]
Reference = Literal["real", "generated"]
Rule = Literal["distance", "vote"]
Radius = Literal["median", "percentile"]

_FILE = "distance.json"
_OPTIONS = ("statistic", "k", "k_pool", "pool", "reference", "rule", "temperature", "radius")
_BLOCK = 2048
_ENCODED = 512


class DistanceEstimator(Estimator):
    """Nearest-neighbour statistics on a fixed representation.

    Membership: how near the synthetic images come to a real one, absolutely or against the spacing
    of real or synthetic images (`gansfp.methods.distance.membership`). Attribution: which subset's
    training images, real or generated, a synthetic image is nearest to.

    Labels enter in two places: the class of a reference image in attribution, and which images are
    known not to be used, where a statistic compares with those. No image is compared with itself or
    with its group, nor scored by what was fitted on it: labelled images may all be scored.

    Attributes:
        transductive: A statistic reads the pool, which is `all` real images, those of the test too.
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
        radius: Radius = "median",
    ) -> None:
        """Choose the statistic.

        Args:
            representation: What is compared; pixels where None.
            statistic: Membership: see `gansfp.methods.distance.membership`.
            k: Neighbours among synthetic images (membership) or references (attribution).
            k_pool: Which neighbour in the pool, or among those not used, gives the local scale.
            pool: `all` real images, or only the `labelled` ones, which makes the score inductive.
            reference: Attribution: compare with the `real` or with the `generated` training images
                of each class.
            rule: Attribution: mean `distance` to k neighbours of each class, or `vote` of k.
            temperature: Attribution: sharpness of the probabilities.
            radius: Membership: what is near for `count` and `count_log`, see `Neighbourhood`.

        Raises:
            UserError: A value is impossible.
        """
        check_choice("statistic", statistic, get_args(Statistic))
        check_choice("pool", pool, get_args(Pool))
        check_choice("reference", reference, get_args(Reference))
        check_choice("rule", rule, get_args(Rule))
        check_choice("radius", radius, get_args(Radius))
        if temperature <= 0:
            raise UserError(f"method.temperature={temperature}: must be positive")
        self.representation = representation if representation is not None else Pixels()
        self.statistic, self.k, self.k_pool, self.pool = statistic, k, k_pool, pool
        self.reference, self.rule, self.temperature = reference, rule, temperature
        self.radius = radius
        self.transductive = STATISTICS[statistic].pool and pool == "all"
        self._fitted: tuple[str, tuple[str, ...]] | None = None
        self._encoded: tuple[Benchmark, dict[str, NDArray[Any]]] | None = None
        self._scored: tuple[Benchmark, Rows, NDArray[np.float64]] | None = None

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Check that there is something to compare with and encode it; nothing is learnt."""
        self._fitted = _kind(data.benchmark)
        self._encoded = self._scored = None
        if data.benchmark.task == "membership":
            self._all_scores(data)
        else:
            self._references(data)
        return self

    def predict(self, data: BenchmarkDataModule, rows: Rows) -> NDArray[np.float64]:
        """Score images against the sets of `data`; see `gansfp.methods.base.Estimator`."""
        benchmark = data.benchmark
        if self._fitted is None:
            raise RuntimeError("predict before fit")
        if self._fitted != _kind(benchmark):
            raise UserError(
                f"data.root: {_kind(benchmark)} differs from what the method was fitted for: "
                f"{self._fitted}"
            )
        if benchmark.task == "membership":
            candidates, scores = self._all_scores(data)
            return scores[np.searchsorted(candidates, rows)]
        references = self._references(data)
        blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
        parts = [
            self._attribution(
                self._encode(benchmark, block), exclusion_keys(benchmark, block), references
            )
            for block in blocks
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(benchmark.classes)))

    def save(self, folder: Path) -> None:
        """Write the options as JSON: with nothing learnt, they say it all."""
        if self._fitted is None:
            raise RuntimeError("save before fit")
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "options": {name: getattr(self, name) for name in _OPTIONS},
            "representation": self.representation.spec(),
            "task": self._fitted[0],
            "classes": list(self._fitted[1]),
        }
        (folder / _FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: There is no such file.
        """
        path = folder / _FILE
        if not path.is_file():
            raise UserError(f"{path}: no saved distance method; has the run finished?")
        content = json.loads(path.read_text(encoding="utf-8"))
        method = cls(representation=from_spec(content["representation"]), **content["options"])
        method._fitted = (content["task"], tuple(content["classes"]))
        return method

    def neighbourhood(self, data: BenchmarkDataModule) -> tuple[Rows, Neighbourhood]:
        """Set up the distances of all candidates of a benchmark, labelled and not.

        Returns:
            The candidates' rows, ascending, and what the statistic may ask about them.
        """
        benchmark, found = data.benchmark, Candidates.of(data)
        real, synthetic = (self._encode(benchmark, rows) for rows in (found.rows, found.synthetic))
        hood = lay_out(found, real, synthetic, self.statistic, self.k, self.pool, self.radius)
        return found.rows, hood

    def _all_scores(self, data: BenchmarkDataModule) -> tuple[Rows, NDArray[np.float64]]:
        """Score all candidates, once a benchmark: searches both ways see them together."""
        if self._scored is None or self._scored[0] is not data.benchmark:
            rows, hood = self.neighbourhood(data)
            scores = STATISTICS[self.statistic].score(hood, self.k, self.k_pool)
            self._scored = (data.benchmark, rows, scores)
        return self._scored[1], self._scored[2]

    def _attribution(
        self, queries: Vectors, keys: NDArray[Any], references: dict[str, NDArray[Any]]
    ) -> NDArray[np.float64]:
        known = References(references["vectors"], references["labels"], references["keys"])
        k = self.k if self.rule == "distance" else 1
        distances = statistics.class_distances(queries, known, k, keys)
        by_distance = statistics.distance_probabilities(distances, self.temperature)
        if self.rule == "distance":
            return by_distance
        shares = statistics.class_votes(queries, known, self.k, keys)
        return statistics.blend_votes(shares, by_distance)

    def _references(self, data: BenchmarkDataModule) -> dict[str, NDArray[Any]]:
        """Encode what candidates are compared with, once a benchmark."""
        benchmark = data.benchmark
        if self._encoded is None or self._encoded[0] is not benchmark:
            self._encoded = (benchmark, self._encode_references(data))
        return self._encoded[1]

    def _encode_references(self, data: BenchmarkDataModule) -> dict[str, NDArray[Any]]:
        benchmark = data.benchmark
        if self.statistic != "nearest":
            raise UserError(
                f"method.statistic={self.statistic} is for task=membership: use nearest"
            )
        rows = self._class_rows(benchmark)
        return {
            "labels": benchmark.targets(rows),
            "vectors": self._encode(benchmark, rows),
            "keys": exclusion_keys(benchmark, rows),
        }

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

    def _encode(self, benchmark: Benchmark, rows: Rows) -> Vectors:
        """Encode block by block, so that a contest's images are not copied as a whole."""
        vectors: Vectors | None = None
        for start in range(0, len(rows), _ENCODED):
            part = self.representation.encode(benchmark.images(rows[start : start + _ENCODED]))
            if vectors is None:
                vectors = np.empty((len(rows), part.shape[1]), part.dtype)
            vectors[start : start + len(part)] = part
        return (
            vectors if vectors is not None else self.representation.encode(benchmark.images(rows))
        )


def lay_out(
    found: Candidates,
    real: Vectors,
    synthetic: Vectors,
    statistic: Statistic,
    k: int,
    pool: Pool,
    radius: Radius = "median",
) -> Neighbourhood:
    """Set up the distances that a statistic asks for.

    Args:
        found: Candidates and synthetic images.
        real: Vectors of the candidates, shape (n, D).
        synthetic: Of the synthetic images, shape (m, D).
        statistic: Which one will be asked for.
        k: Its neighbours among synthetic images.
        pool: See `DistanceEstimator`.
        radius: Likewise.
    """
    asked = STATISTICS[statistic]
    if statistic == "dpi":
        m = len(synthetic)
        k = dpi_neighbours(m, m, int(found.outsider.sum()), k)
    return Neighbourhood(
        Keyed(real, found.keys),
        synthetic,
        labelled=found.labelled,
        outsider=found.outsider,
        k=k,
        transductive=pool == "all",
        both_ways=asked.both_ways,
        radius=radius if asked.radius else None,
    )


def _kind(benchmark: Benchmark) -> tuple[str, tuple[str, ...]]:
    return benchmark.task, tuple(benchmark.classes)
