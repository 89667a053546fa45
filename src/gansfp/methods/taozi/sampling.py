"""Batches of a synthetic anchor, used images that it may come from, and images not used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.batches import Batch, BatchPlan, step_generator
from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.features.representations import Representation

_NEGATIVES = 1
"""Stream of the random numbers that choose companions; stream 0 orders the anchors."""


class CandidatePools:
    """Anchors with companions, taozi's way (ImageCLEFmedical GANs 2025, runs 1107 to 1875).

    An anchor is a synthetic training image; each is one once an epoch, but for those that do not
    fill a batch. Its positives are used images from its pool: those whose cosine similarity to it
    is at least `threshold`, and the most similar ones where these are fewer than `positives`. Its
    negatives are any images not used. Columns: "anchor_row" and "key_row" (the same image, to be
    augmented otherwise), shape (B,); "positive_row", (B, positives); "negative_row",
    (B, negatives).

    Args:
        batch_size: Anchors in a (global) batch.
        positives: Used images of an anchor.
        negatives: Images not used of an anchor.
        representation: What similarity is measured on, such as features of a frozen network; None:
            every used image is in every pool.
        threshold: Smallest cosine within a pool.
    """

    def __init__(
        self,
        batch_size: int = 128,
        positives: int = 2,
        negatives: int = 5,
        representation: Representation | None = None,
        threshold: float = 0.6,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("positives", positives)):
            if value < 1:
                raise UserError(f"data.sampling.{name}={value}: must be at least 1")
        self._batch_size, self._positives, self._negatives = batch_size, positives, negatives
        self._representation, self._threshold = representation, threshold

    def bind(self, benchmark: Benchmark, rows: NDArray[np.int64], seed: int) -> BatchPlan:
        """Measure similarities and plan epochs.

        Raises:
            UserError: The task is not membership, or images of a kind are missing.
        """
        if benchmark.task != "membership":
            raise UserError("data.sampling: candidate pools are for task=membership")
        labels = benchmark.labels(rows)
        used, unused = rows[labels == "used"], rows[labels == "not_used"]
        anchors = benchmark.rows("train", "generated")
        if not len(anchors) or len(used) < self._positives or not len(unused):
            raise UserError(
                f"data.root: {len(anchors)} synthetic training images, {len(used)} used and "
                f"{len(unused)} not used left to fit on: candidate pools need some of each, and "
                f"data.sampling.positives={self._positives} used ones"
            )
        pools = self._pools(benchmark, anchors, used)
        return _Plan(anchors, pools, unused, (self._batch_size, self._negatives), seed)

    def _pools(
        self, benchmark: Benchmark, anchors: NDArray[np.int64], used: NDArray[np.int64]
    ) -> _Pools:
        if self._representation is None:
            order = np.broadcast_to(used, (len(anchors), len(used)))
            return _Pools(order, np.full(len(anchors), len(used)), self._positives)
        made, real = (
            _unit(self._representation.encode(benchmark.images(r))) for r in (anchors, used)
        )
        return pools_by_similarity(made @ real.T, used, self._threshold, self._positives)


def pools_by_similarity(
    similarity: NDArray[np.float32], used: NDArray[np.int64], threshold: float, positives: int
) -> _Pools:
    """Collect each anchor's pool.

    Args:
        similarity: Of anchors and used images, shape (n, m).
        used: Rows of the used images, shape (m,).
        threshold: Smallest similarity within a pool.
        positives: Smallest size of a pool.
    """
    nearest_first = np.argsort(-similarity, axis=1, kind="stable")
    sizes = np.maximum((similarity >= threshold).sum(axis=1), positives)
    return _Pools(used[nearest_first], sizes, positives)


class _Pools:
    """Used images of each anchor: the first `sizes` of its row in `order`."""

    def __init__(self, order: NDArray[np.int64], sizes: NDArray[np.int64], positives: int) -> None:
        self.order, self.sizes, self.positives = order, sizes, positives

    def draw(self, anchors: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
        """Draw different members of the pools of some anchors, shape (B, positives)."""
        lots = generator.random((len(anchors), self.order.shape[1]))
        lots[np.arange(self.order.shape[1]) >= self.sizes[anchors][:, None]] = 2.0  # never drawn
        drawn = np.argsort(lots, axis=1)[:, : self.positives]
        return np.take_along_axis(self.order[anchors], drawn, axis=1)


class _Plan:
    def __init__(
        self,
        anchors: NDArray[np.int64],
        pools: _Pools,
        unused: NDArray[np.int64],
        sizes: tuple[int, int],
        seed: int,
    ) -> None:
        self._anchors, self._pools, self._unused, self._seed = anchors, pools, unused, seed
        self._batch_size = min(sizes[0], len(anchors))
        self._negatives = sizes[1]

    def __len__(self) -> int:
        return len(self._anchors) // self._batch_size

    def batch(self, epoch: int, step: int) -> Batch:
        order = step_generator(self._seed, epoch, 0).permutation(len(self._anchors))
        start = step * self._batch_size
        chosen = order[start : start + self._batch_size]
        generator = step_generator(self._seed, epoch, step, stream=_NEGATIVES)
        rows = self._anchors[chosen]
        return {
            "anchor_row": rows,
            "key_row": rows,
            "positive_row": self._pools.draw(chosen, generator),
            "negative_row": generator.choice(self._unused, (len(rows), self._negatives)),
        }


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norm, np.finfo(np.float32).tiny))
