"""Sampling strategies: which labelled images a training batch holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.batches import Batch, BatchPlan, ShuffledRows, step_generator
from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark


class Images:
    """Single images with their labels, shuffled each epoch.

    Args:
        batch_size: Images in a (global) batch.
        role: Keep only this role, such as "generated" or "real" of attribution; None: every row.
        real_class: Attribution: number all real images as one further class, the last.
    """

    def __init__(
        self, batch_size: int = 32, role: str | None = None, real_class: bool = False
    ) -> None:
        self._batch_size = batch_size
        self._role = role
        self._real_class = real_class

    def bind(self, benchmark: Benchmark, rows: NDArray[np.int64], seed: int) -> BatchPlan:
        """Plan epochs over labelled rows.

        Raises:
            UserError: No row has the wanted role.
        """
        kept = rows
        if self._role is not None:
            kept = rows[np.isin(rows, benchmark.rows(role=self._role))]
        if not len(kept):
            raise UserError(f"data.sampling.role={self._role}: no labelled training image has it")
        targets = benchmark.targets(kept)
        if self._real_class:
            targets[np.isin(kept, benchmark.rows(role="real"))] = len(benchmark.classes)
        return ShuffledRows(kept, targets, self._batch_size, seed)


class ClassPairs:
    """Pairs of a real and a generated image, half of them alike.

    Attribution: alike = both of one class, unlike = of two classes, classes and images uniform.
    Membership: alike = (used, any generated), unlike = (not used, any generated), with the
    generated images of the training set (AI Multimedia Lab, ImageCLEF 2025, run 1396).

    Args:
        batch_size: Pairs in a (global) batch; even.
        steps_per_epoch: None: number of real images // `batch_size`, at least 1.
    """

    def __init__(self, batch_size: int = 32, steps_per_epoch: int | None = None) -> None:
        if batch_size < 2 or batch_size % 2:
            raise UserError(f"data.sampling.batch_size={batch_size}: pairs need an even number")
        self._batch_size = batch_size
        self._steps = steps_per_epoch

    def bind(self, benchmark: Benchmark, rows: NDArray[np.int64], seed: int) -> BatchPlan:
        """Plan epochs of pairs from labelled rows.

        Raises:
            UserError: Real or generated images are missing.
        """
        labels = benchmark.labels(rows)
        if benchmark.task == "membership":
            generated = benchmark.rows("train", "generated")
            used, unused = rows[labels == "used"], rows[labels == "not_used"]
            _refuse_empty({"generated": generated, "real_used": used, "real_not_used": unused})
            steps = self._steps_for(len(used) + len(unused))
            return _MembershipPairs(used, unused, generated, self._batch_size, steps, seed)
        is_real = np.isin(rows, benchmark.rows(role="real"))
        real = [rows[is_real & (labels == name)] for name in benchmark.classes]
        made = [rows[~is_real & (labels == name)] for name in benchmark.classes]
        _refuse_empty({f"real/{n}": r for n, r in zip(benchmark.classes, real, strict=True)})
        _refuse_empty({f"generated/{n}": r for n, r in zip(benchmark.classes, made, strict=True)})
        steps = self._steps_for(int(is_real.sum()))
        return _AttributionPairs(real, made, self._batch_size, steps, seed)

    def _steps_for(self, real_images: int) -> int:
        return self._steps if self._steps is not None else max(1, real_images // self._batch_size)


class _Pairs:
    """What both kinds of pairs share: half alike, half not, in mixed order."""

    def __init__(self, batch_size: int, steps: int, seed: int) -> None:
        self._same = np.repeat(np.array([1, 0], dtype=np.int64), batch_size // 2)
        self._steps = steps
        self._seed = seed

    def __len__(self) -> int:
        return self._steps

    def _start(self, epoch: int, step: int) -> tuple[np.random.Generator, NDArray[np.int64]]:
        # Mixed, so that the slice of every rank holds both kinds.
        generator = step_generator(self._seed, epoch, step)
        return generator, generator.permutation(self._same)


class _MembershipPairs(_Pairs):
    def __init__(
        self,
        used: NDArray[np.int64],
        unused: NDArray[np.int64],
        generated: NDArray[np.int64],
        batch_size: int,
        steps: int,
        seed: int,
    ) -> None:
        super().__init__(batch_size, steps, seed)
        self._used, self._unused, self._generated = used, unused, generated

    def batch(self, epoch: int, step: int) -> Batch:
        generator, same = self._start(epoch, step)
        used, unused, made = (
            generator.choice(pool, len(same))
            for pool in (self._used, self._unused, self._generated)
        )
        return {
            "real_row": np.where(same == 1, used, unused),
            "generated_row": made,
            "same": same,
        }


class _AttributionPairs(_Pairs):
    def __init__(
        self,
        real: list[NDArray[np.int64]],
        generated: list[NDArray[np.int64]],
        batch_size: int,
        steps: int,
        seed: int,
    ) -> None:
        super().__init__(batch_size, steps, seed)
        self._real, self._generated = _Pools(real), _Pools(generated)
        self._classes = len(real)

    def batch(self, epoch: int, step: int) -> Batch:
        generator, same = self._start(epoch, step)
        first = generator.integers(self._classes, size=len(same))
        other = (first + generator.integers(1, self._classes, size=len(same))) % self._classes
        return {
            "real_row": self._real.draw(first, generator),
            "generated_row": self._generated.draw(np.where(same == 1, first, other), generator),
            "same": same,
        }


class _Pools:
    """Row pools, one a class, to draw uniformly from many at once."""

    def __init__(self, pools: list[NDArray[np.int64]]) -> None:
        self._rows = np.concatenate(pools)
        self._sizes = np.array([len(pool) for pool in pools], dtype=np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes

    def draw(self, pool: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        inside = generator.integers(self._sizes[pool])
        return np.asarray(self._rows[self._starts[pool] + inside])


def _refuse_empty(pools: dict[str, NDArray[np.int64]]) -> None:
    empty = [name for name, rows in pools.items() if not len(rows)]
    if empty:
        raise UserError(
            f"no training image left in {', '.join(empty)}: pairs need both; use fewer held-out "
            "images (data.folds) or data/sampling=images"
        )
