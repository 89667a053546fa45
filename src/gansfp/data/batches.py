"""Batches as pure functions of (seed, epoch, step), and the loader that hands them to Lightning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from gansfp.data.draws import batch_keys
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark

Batch = dict[str, "NDArray[np.int64]"]


@runtime_checkable
class BatchPlan(Protocol):
    """All batches of a fit, without any state: any of them can be asked for at any time."""

    def __len__(self) -> int:
        """Count the steps of an epoch."""
        ...

    def batch(self, epoch: int, step: int) -> Batch:
        """Draw the global batch of a step: int64 rows and labels, the first axis is the batch."""
        ...


class Sampling(Protocol):
    """A strategy of the config: becomes a plan once the benchmark is known."""

    def bind(self, benchmark: Benchmark, rows: NDArray[np.int64], seed: int) -> BatchPlan:
        """Plan batches from labelled training rows."""
        ...


def step_generator(seed: int, epoch: int, step: int, stream: int = 0) -> np.random.Generator:
    """Make the random generator of one step.

    Philox is counter-based: the key holds seed and stream, the upper half of the counter epoch and
    step, so no two steps share a number and none depends on what was drawn before (Salmon et al.,
    "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
    """
    key = np.array([seed, stream], dtype=np.uint64)
    counter = np.array([0, 0, step, epoch], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class RowPlan:
    """Rows in a fixed order, once: for prediction. Key "row"; the last batch may be short."""

    def __init__(self, rows: NDArray[np.int64], batch_size: int) -> None:
        self._rows = np.asarray(rows, dtype=np.int64)
        self._batch_size = _positive(batch_size)

    def __len__(self) -> int:
        return -(-len(self._rows) // self._batch_size)

    def batch(self, epoch: int, step: int) -> Batch:
        """Cut the batch of a step; epochs are equal."""
        start = step * self._batch_size
        return {"row": self._rows[start : start + self._batch_size]}


class ShuffledRows:
    """Ordinary supervised epochs: each row at most once an epoch. Keys "row", "label".

    Every batch is full, so that no batch norm sees a single image: the few rows that do not fill
    one are left out, others in each epoch. Fewer rows than a batch make one batch of all.
    """

    def __init__(
        self, rows: NDArray[np.int64], labels: NDArray[np.int64], batch_size: int, seed: int
    ) -> None:
        if len(rows) != len(labels) or not len(rows):
            raise ValueError(f"{len(rows)} rows and {len(labels)} labels: must be equal and not 0")
        self._rows = np.asarray(rows, dtype=np.int64)
        self._labels = np.asarray(labels, dtype=np.int64)
        self._batch_size = min(_positive(batch_size), len(rows))
        self._seed = seed
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return len(self._rows) // self._batch_size

    def batch(self, epoch: int, step: int) -> Batch:
        """Cut the batch of a step out of the epoch's permutation."""
        if self._order is None or self._order[0] != epoch:  # Kept for speed only; it is a function.
            generator = step_generator(self._seed, epoch, 0)
            self._order = epoch, generator.permutation(len(self._rows))
        start = step * self._batch_size
        chosen = self._order[1][start : start + self._batch_size]
        return {"row": self._rows[chosen], "label": self._labels[chosen]}


class _Epoch:
    """What Lightning takes for a sampler: it is told the epoch before each one."""

    def __init__(self) -> None:
        self.value = 0

    def set_epoch(self, epoch: int) -> None:
        self.value = epoch


class PlanLoader:
    """Iterates over a plan, this rank's share of each batch, and resumes at a step.

    Lightning saves `state_dict` with a checkpoint and gives it back before it makes the iterator;
    it tells the epoch only after that. So the iterator reads both when its first batch is asked
    for, and a state of another epoch (a checkpoint on the border between two) starts at step 0.

    Args:
        plan: The batches.
        rank: Which share of each batch.
        world_size: Number of shares.
        draw_seed: Give each batch a column "draw": keys of the random numbers that its images are
            augmented by (`gansfp.data.draws`), which this seed, epoch, step and place decide.

    Attributes:
        plan: The batches.
        sampler: Takes the epoch (`set_epoch`).
    """

    def __init__(
        self, plan: BatchPlan, rank: int = 0, world_size: int = 1, draw_seed: int | None = None
    ) -> None:
        self.plan = plan
        self.sampler = _Epoch()
        self.batch_sampler = None  # Lightning looks for it wherever there is a sampler
        self._rank = rank
        self._world_size = world_size
        self._draw_seed = draw_seed
        self._position = (0, 0)
        self._resume_at: tuple[int, int] | None = None
        if world_size > 1 and len(plan):
            size = len(next(iter(plan.batch(0, 0).values())))
            if size % world_size:
                raise UserError(
                    f"a batch of {size} cannot be shared by {world_size} devices; set "
                    f"data.sampling.batch_size to a multiple of {world_size}"
                )

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        # A generator: nothing of this runs before the first batch is asked for.
        epoch, step = self.sampler.value, 0
        if self._resume_at is not None and self._resume_at[0] == epoch:
            step = self._resume_at[1]
        self._resume_at = None
        self._position = (epoch, step)
        while step < len(self.plan):
            batch = self.plan.batch(epoch, step)
            if self._draw_seed is not None:
                size = len(next(iter(batch.values())))
                batch = {**batch, "draw": batch_keys(self._draw_seed, epoch, step, size).numpy()}
            step += 1
            self._position = (epoch, step)
            yield {name: self._share(values) for name, values in batch.items()}

    def _share(self, values: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values[self._rank :: self._world_size]))

    def state_dict(self) -> dict[str, Any]:
        """Say which batch comes next: plain numbers, the same on every rank."""
        epoch, step = self._position if self._resume_at is None else self._resume_at
        return {"epoch": epoch, "step": step, "steps": len(self.plan)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where the state was taken.

        Raises:
            UserError: It was taken with another number of steps an epoch.
        """
        if state["steps"] != len(self.plan):
            raise UserError(
                f"the checkpoint was written with {state['steps']} steps an epoch, now there are "
                f"{len(self.plan)}: resume with the same data and batch size, or start afresh"
            )
        self._resume_at = (int(state["epoch"]), int(state["step"]))


def _positive(batch_size: int) -> int:
    if batch_size < 1:
        raise UserError(f"batch_size={batch_size}: must be at least 1")
    return batch_size
