"""Several membership attacks, combined, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np

from gansfp.errors import UserError
from gansfp.methods.base import Estimator
from gansfp.methods.candidates import check_choice
from gansfp.methods.density.estimator import DensityEstimator
from gansfp.methods.distance.estimator import DistanceEstimator
from gansfp.methods.patches.estimator import PatchEstimator
from gansfp.methods.saving import load_method, save_method
from gansfp.methods.stack.combining import Logistic, mean_rank

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.datamodule import BenchmarkDataModule

    Array = NDArray[np.float64]
    Rows = NDArray[np.int64]

Rule = Literal["borda", "logistic"]

MOST = 10
"""Attacks that a hundred or two of labelled images can weigh."""

_KIND = "stack"
_MEMBERS: dict[str, type[Estimator]] = {
    kind.__name__: kind for kind in (DistanceEstimator, DensityEstimator, PatchEstimator)
}


class StackEstimator(Estimator):
    """Attacks that score no image by what was fitted on it, and one score of theirs.

    Attributes:
        fits_labels: `logistic` learns from labels: the held-out fold sets the threshold.
        transductive: One of the attacks is.
    """

    uses_synthetic = "nearest"

    def __init__(
        self, members: Mapping[str, Estimator], rule: Rule = "borda", seed: int = 0
    ) -> None:
        """Choose the attacks.

        Args:
            members: Up to ten distance, density or patch methods by name; an entry of None is
                left out.
            rule: `borda`: mean rank among the labelled images, no label read. `logistic`: a
                penalised regression of the labels on standardised scores.
            seed: Of the folds that choose the penalty.

        Raises:
            UserError: A value is impossible.
        """
        check_choice("rule", rule, get_args(Rule))
        self.members = {name: member for name, member in members.items() if member is not None}
        if not 1 <= len(self.members) <= MOST:
            raise UserError(f"method.members: {len(self.members)} attacks, choose 1 to {MOST}")
        for name, member in self.members.items():
            if type(member).__name__ not in _MEMBERS:
                raise UserError(
                    f"method.members.{name}: must be a distance, density or patch method"
                )
        self.rule, self.seed = rule, seed
        self.fits_labels = rule == "logistic"
        self.transductive = any(member.transductive for member in self.members.values())
        self._model: Logistic | None = None
        self._known: Array | None = None

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Fit the attacks, and their combination on the labelled images that are not held out.

        Raises:
            UserError: The task is another, or an attack lacks what it needs.
        """
        if data.benchmark.task != "membership":
            raise UserError("method: stack is for task=membership")
        for member in self.members.values():
            member.fit(data)
        rows = data.fit_rows
        scores = self._scores(data, rows)
        if self.rule == "logistic":
            benchmark = data.benchmark
            self._model = Logistic.fit(
                scores, benchmark.targets(rows), benchmark.groups(rows), self.seed
            )
        self._known = scores
        return self

    def predict(self, data: BenchmarkDataModule, rows: Rows) -> Array:
        """Score images; see `gansfp.methods.base.Estimator`."""
        if self._known is None:
            raise RuntimeError("predict before fit")
        scores = self._scores(data, rows)
        return mean_rank(scores, self._known) if self._model is None else self._model.score(scores)

    def save(self, folder: Path) -> None:
        """Write the combination, and each attack into a folder of its own."""
        if self._known is None:
            raise RuntimeError("save before fit")
        kinds = {name: type(member).__name__ for name, member in self.members.items()}
        arrays = {"known": self._known}
        if self._model is not None:
            arrays |= vars(self._model)
        save_method(folder, _KIND, {"rule": self.rule, "seed": self.seed, "members": kinds}, arrays)
        for name, member in self.members.items():
            member.save(folder / name)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        values, arrays = load_method(folder, _KIND)
        kinds = values.pop("members")
        members = {name: _MEMBERS[kind].load(folder / name) for name, kind in kinds.items()}
        method = cls(members, **values)
        method._known = arrays.pop("known")
        method._model = Logistic(**arrays) if arrays else None
        return method

    def _scores(self, data: BenchmarkDataModule, rows: Rows) -> Array:
        return np.stack([member.predict(data, rows) for member in self.members.values()], axis=1)
