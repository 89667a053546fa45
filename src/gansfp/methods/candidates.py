"""Membership methods that score all candidates of a benchmark at once.

What such a method knows comes from the benchmark at hand: its synthetic images, and those known not
to be used. It is fitted anew for each benchmark, and no image is scored by what was fitted on
it (`gansfp.methods.crossfit`).
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from gansfp.errors import UserError
from gansfp.features.representations import from_spec
from gansfp.methods.base import Estimator
from gansfp.methods.keys import exclusion_keys
from gansfp.methods.saving import load_method, save_method

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.representations import Representation
    from gansfp.methods.base import UsesSynthetic

    Rows = NDArray[np.int64]
    Scores = NDArray[np.float64]

_ENCODED = 512


@dataclass(frozen=True)
class Candidates:
    """The real images that the task asks about, labelled and not, and the synthetic ones.

    Attributes:
        benchmark: Where they come from.
        rows: Their rows, ascending, shape (n,).
        keys: Patient or image of each, shape (n,).
        labelled: Which have a label that may be read, boolean, shape (n,).
        outsider: Which are known not to be used, boolean, shape (n,).
        synthetic: Rows of the synthetic images, shape (m,).
    """

    benchmark: Benchmark
    rows: Rows
    keys: NDArray[np.str_]
    labelled: NDArray[np.bool_]
    outsider: NDArray[np.bool_]
    synthetic: Rows

    @classmethod
    def of(cls, data: BenchmarkDataModule) -> Candidates:
        """Collect those of a benchmark.

        Raises:
            UserError: There is no synthetic image.
        """
        benchmark, synthetic = data.benchmark, data.generated_rows
        if not len(synthetic):
            raise UserError("data.root: there are no synthetic images to compare with")
        train = benchmark.candidates("train")
        known = np.setdiff1d(train, data.sequestered_rows)
        rows = np.sort(np.concatenate([train, benchmark.candidates("test")]))
        outsiders = np.intersect1d(known, benchmark.rows("train", "real_not_used"))
        return cls(
            benchmark,
            rows,
            exclusion_keys(benchmark, rows),
            labelled=np.isin(rows, known),
            outsider=np.isin(rows, outsiders),
            synthetic=synthetic,
        )

    def need_outsiders(self, method: str) -> None:
        """Refuse a benchmark without known non-members.

        Raises:
            UserError: Names the method that needs them.
        """
        if not self.outsider.any():
            raise UserError(
                f"data.root: {method} compares with real images known not to be used, and there "
                "are none: take method=distance with method.statistic=pool_ratio"
            )


class CandidateEstimator(Estimator):
    """Scores all candidates of a benchmark, once, and looks the asked ones up.

    Subclasses compute `score_candidates`, and name themselves and the options that `save` keeps.
    """

    uses_synthetic: UsesSynthetic = "nearest"
    fits_labels = False
    kind: ClassVar[str]
    options: ClassVar[tuple[str, ...]]
    representation: Representation

    _fitted: bool = False
    _scored: tuple[Benchmark, Rows, Scores] | None = None

    @abstractmethod
    def score_candidates(self, candidates: Candidates) -> Scores:
        """Score all candidates, higher for used ones, shape (n,)."""

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Score the candidates of the benchmark: nothing else is kept.

        Raises:
            UserError: The task is another, or what the method needs is missing.
        """
        if data.benchmark.task != "membership":
            raise UserError(f"method: {self.kind} is for task=membership")
        self._fitted, self._scored = True, None
        self._all_scores(data)
        return self

    def predict(self, data: BenchmarkDataModule, rows: Rows) -> Scores:
        """Score images; see `gansfp.methods.base.Estimator`."""
        if not self._fitted:
            raise RuntimeError("predict before fit")
        known, scores = self._all_scores(data)
        return scores[np.searchsorted(known, rows)]

    def save(self, folder: Path) -> None:
        """Write the options as JSON: with nothing else kept, they say it all."""
        if not self._fitted:
            raise RuntimeError("save before fit")
        values: dict[str, Any] = {name: getattr(self, name) for name in self.options}
        if "representation" in inspect.signature(type(self)).parameters:
            values["representation"] = self.representation.spec()
        save_method(folder, self.kind, values, {})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, _ = load_method(folder, cls.kind)
        build: Callable[..., Self] = cls
        if "representation" in values:
            values["representation"] = from_spec(values["representation"])
        method = build(**values)
        method._fitted = True
        return method

    def encode(self, benchmark: Benchmark, rows: Rows) -> NDArray[np.float32]:
        """Encode images; see `encoded`."""
        return encoded(self.representation, benchmark, rows)

    def _all_scores(self, data: BenchmarkDataModule) -> tuple[Rows, Scores]:
        if self._scored is None or self._scored[0] is not data.benchmark:
            candidates = Candidates.of(data)
            scores = self.score_candidates(candidates)
            self._scored = (data.benchmark, candidates.rows, scores)
        return self._scored[1], self._scored[2]


def encoded(
    representation: Representation, benchmark: Benchmark, rows: Rows
) -> NDArray[np.float32]:
    """Encode images block by block, so that a contest's images are not copied as a whole."""
    first = representation.encode(benchmark.images(rows[:_ENCODED]))
    found = np.empty((len(rows), first.shape[1]), first.dtype)
    found[: len(first)] = first
    for start in range(_ENCODED, len(rows), _ENCODED):
        part = slice(start, start + _ENCODED)
        found[part] = representation.encode(benchmark.images(rows[part]))
    return found


def check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse an option that does not exist.

    Raises:
        UserError: Names those that do.
    """
    if value not in choices:
        raise UserError(f"method.{key}={value}: choose {', '.join(choices)}")
