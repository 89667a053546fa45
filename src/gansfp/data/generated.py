"""Sampling strategies for methods that learn from synthetic images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from gansfp.data.batches import Batch, BatchPlan, ShuffledRows, step_generator
from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark

Split = Literal["both", "train", "test"]

_REAL = 1
"""Stream of the random numbers that choose real images; stream 0 orders the synthetic ones."""


class GeneratedImages:
    """Synthetic images without labels, shuffled each epoch. Columns "row" and "label" (all 0).

    Args:
        batch_size: Images in a (global) batch.
        split: Of which set: `train`, `test`, or `both`.
    """

    def __init__(self, batch_size: int = 32, split: Split = "both") -> None:
        self._batch_size, self._split = batch_size, _checked(split)

    def bind(self, benchmark: Benchmark, rows: NDArray[np.int64], seed: int) -> BatchPlan:
        """Plan epochs over the synthetic images.

        Raises:
            UserError: There are none.
        """
        made = generated(benchmark, self._split)
        return ShuffledRows(made, np.zeros_like(made), self._batch_size, seed)


class BothKinds:
    """Synthetic images, each once an epoch, beside as many real ones, without labels.

    Columns "row" and "real_row"; real images are drawn with replacement.

    Args:
        batch_size: Images of each kind in a (global) batch.
        split: Whose synthetic images.
        pool: Real images: the `labelled` ones that are not held out, or `all` candidates, those of
            the test too.

    Attributes:
        transductive: Test images are among them.
    """

    def __init__(
        self,
        batch_size: int = 32,
        split: Split = "both",
        pool: Literal["labelled", "all"] = "labelled",
    ) -> None:
        if pool not in ("labelled", "all"):
            raise UserError(f"data.sampling.pool={pool}: choose labelled or all")
        self._batch_size, self._split, self._pool = batch_size, _checked(split), pool
        self.transductive = pool == "all"

    def bind(self, benchmark: Benchmark, rows: NDArray[np.int64], seed: int) -> BatchPlan:
        """Plan epochs over the synthetic images.

        Raises:
            UserError: Images of a kind are missing.
        """
        made = generated(benchmark, self._split)
        real = np.union1d(rows, benchmark.candidates("test")) if self._pool == "all" else rows
        if not len(real):
            raise UserError("data.root: there are no labelled real images left to fit on")
        plan = ShuffledRows(made, np.zeros_like(made), self._batch_size, seed)
        return _Beside(plan, real, seed, "real_row")


class AgainstOutsiders:
    """Synthetic images, each once an epoch, beside as many known not to be used.

    Columns "row" and "outsider_row"; the latter are drawn with replacement, among labelled images
    that are not held out.

    Args:
        batch_size: Images of each kind in a (global) batch.
        split: Whose synthetic images.
    """

    def __init__(self, batch_size: int = 16, split: Split = "both") -> None:
        self._batch_size, self._split = batch_size, _checked(split)

    def bind(self, benchmark: Benchmark, rows: NDArray[np.int64], seed: int) -> BatchPlan:
        """Plan epochs over the synthetic images.

        Raises:
            UserError: Images of a kind are missing.
        """
        made = generated(benchmark, self._split)
        outsiders = np.intersect1d(rows, benchmark.rows("train", "real_not_used"))
        if not len(outsiders):
            raise UserError(
                "data.root: the method learns from real images known not to be used, and there "
                "are none: take method=distance with method.statistic=pool_ratio"
            )
        plan = ShuffledRows(made, np.zeros_like(made), self._batch_size, seed)
        return _Beside(plan, outsiders, seed, "outsider_row")


class UnpairedImages:
    """Synthetic images, each once an epoch, beside any real ones. Columns "row" and "real_row".

    Real images are the labelled ones that are not held out, and on demand used ones alone.

    Args:
        batch_size: Images of each kind in a (global) batch.
        split: Whose synthetic images.
        used_only: Leave the real images out that were not used.
    """

    def __init__(self, batch_size: int = 1, split: Split = "train", used_only: bool = True) -> None:
        self._batch_size, self._split, self._used_only = batch_size, _checked(split), used_only

    def bind(self, benchmark: Benchmark, rows: NDArray[np.int64], seed: int) -> BatchPlan:
        """Plan epochs over the synthetic images.

        Raises:
            UserError: Images of a kind are missing.
        """
        made = generated(benchmark, self._split)
        real = rows[benchmark.labels(rows) == "used"] if self._used_only else rows
        if not len(real):
            raise UserError("data.root: there are no labelled real images left to fit on")
        plan = ShuffledRows(made, np.zeros_like(made), self._batch_size, seed)
        return _Beside(plan, real, seed, "real_row")


class _Beside:
    """Synthetic images, and beside each one another, in a column of its own."""

    def __init__(self, plan: ShuffledRows, real: NDArray[np.int64], seed: int, column: str) -> None:
        self._plan, self._real, self._seed, self._column = plan, real, seed, column

    def __len__(self) -> int:
        return len(self._plan)

    def batch(self, epoch: int, step: int) -> Batch:
        made = self._plan.batch(epoch, step)["row"]
        generator = step_generator(self._seed, epoch, step, stream=_REAL)
        return {"row": made, self._column: generator.choice(self._real, len(made))}


def generated(benchmark: Benchmark, split: Split) -> NDArray[np.int64]:
    """Name the synthetic images of a split.

    Raises:
        UserError: There are none.
    """
    rows = benchmark.rows(None if split == "both" else split, "generated")
    if not len(rows):
        raise UserError(f"data.root: there are no synthetic images (data.sampling.split={split})")
    return rows


def _checked(split: Split) -> Split:
    if split not in get_args(Split):
        raise UserError(f"data.sampling.split={split}: choose both, train or test")
    return split
