"""The batches of a generator's training: an endless stream of shuffled epochs, cut into steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.batches import step_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.batches import Batch


class StreamRows:
    """Batches of a fit that counts steps and not epochs; a `BatchPlan` of one Lightning epoch.

    The images are shuffled anew for each pass over them and the passes are joined, so every batch
    is full and every image is seen equally often, however few there are. A batch is a pure
    function of (seed, step).

    Keys: "row" (image), "position" (place in the global batch), "step" (the step, repeated).

    Args:
        count: Number of images.
        batch_size: Images of the global batch.
        steps: Steps of the fit.
        seed: Of the shuffling.
    """

    def __init__(self, count: int, batch_size: int, steps: int, seed: int) -> None:
        if min(count, batch_size, steps) < 1:
            raise ValueError(f"count={count}, batch_size={batch_size}, steps={steps}: at least 1")
        self._count = count
        self._batch_size = batch_size
        self._steps = steps
        self._seed = seed
        self._kept: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return self._steps

    @property
    def epochs(self) -> float:
        """Passes over the images in the whole fit."""
        return self._steps * self._batch_size / self._count

    def batch(self, epoch: int, step: int) -> Batch:
        """Cut the batch of a step out of the stream; epochs are equal."""
        place = step * self._batch_size + np.arange(self._batch_size)
        passes, offsets = np.divmod(place, self._count)
        rows = np.empty(self._batch_size, dtype=np.int64)
        for one in np.unique(passes):
            chosen = passes == one
            rows[chosen] = self._order(int(one))[offsets[chosen]]
        return {
            "row": rows,
            "position": np.arange(self._batch_size),
            "step": np.full(self._batch_size, step, dtype=np.int64),
        }

    def _order(self, number: int) -> NDArray[np.int64]:
        if number not in self._kept:  # kept for speed only: it is a function of the number
            self._kept = {k: v for k, v in self._kept.items() if k == number - 1}
            self._kept[number] = step_generator(self._seed, 0, number).permutation(self._count)
        return self._kept[number]
