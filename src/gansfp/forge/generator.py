"""The seam between a generator and the forge: trained by steps, sampled by blocks."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import torch

from gansfp.data.batches import PlanLoader
from gansfp.data.store import ImageStore
from gansfp.errors import UserError
from gansfp.forge.graphs import Function, StepGraph
from gansfp.forge.plan import StreamRows
from gansfp.forge.seeds import derive_seed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


class GeneratorModule(L.LightningModule, ABC):
    """A generative model of square grey images.

    A training batch has "image" (uint8, (B, H, W), on the device), "position" (int64, (B,): place
    in the global batch) and "step" (int). What a step draws at random must be a function of (seed,
    step, position) alone; then a killed fit resumes to the same numbers, and several processes draw
    what one would.

    Args:
        image_size: Side of the images in pixels.
        steps: Optimiser steps of the fit.
        batch_size: Images of a global batch.
        sample_batch_size: Images of a sample block.
        seed: Of batches and of everything that a step draws.
        cuda_graph: Let `record` record, where there is one CUDA device; ignored elsewhere.
    """

    def __init__(
        self,
        image_size: int,
        steps: int,
        batch_size: int,
        sample_batch_size: int,
        seed: int,
        cuda_graph: bool = False,
    ) -> None:
        super().__init__()
        for key, value in (
            ("steps", steps),
            ("batch_size", batch_size),
            ("sample_batch_size", sample_batch_size),
        ):
            if value < 1:
                raise UserError(f"generator.{key}={value}: must be at least 1")
        self.image_size = image_size
        self.steps = steps
        self.batch_size = batch_size
        self.sample_batch_size = sample_batch_size
        self.seed = seed
        self.cuda_graph = cuda_graph
        self.step_function: Function | None = None
        self.fit_seconds = 0.0
        self._started = time.monotonic()
        self._store: ImageStore | None = None

    @abstractmethod
    def sample_block(self, block: int, seed: int) -> Tensor:
        """Draw a block: uint8, (sample_batch_size, H, W), a function of the arguments alone."""

    @property
    @abstractmethod
    def last_loss(self) -> float:
        """Training loss at the end of the fit, for the card; each generator says what it means."""

    def sample(self, count: int, seed: int, start: int = 0) -> NDArray[np.uint8]:
        """Draw images number `start` to `start + count`; image i depends on (seed, i) alone.

        Args:
            count: Number of images.
            seed: Another seed, other images.
            start: Number of the first one.

        Returns:
            Grey levels, shape (count, H, W).
        """
        if count < 1:
            return np.zeros((0, self.image_size, self.image_size), np.uint8)
        size = self.sample_batch_size
        first, last = start // size, (start + count - 1) // size
        # Whole blocks also at the ends: a smaller batch could round differently.
        blocks = [self.sample_block(k, seed).cpu().numpy() for k in range(first, last + 1)]
        offset = start - first * size
        return np.concatenate(blocks)[offset : offset + count]

    def plan(self, count: int) -> StreamRows:
        """Plan the batches of a fit on `count` images."""
        return StreamRows(count, self.batch_size, self.steps, derive_seed(self.seed, "rows"))

    def train_on(self, pixels: NDArray[np.uint8]) -> None:
        """Set the training images, shape (N, H, W)."""
        if pixels.shape[1:] != (self.image_size, self.image_size):
            raise ValueError(f"images {pixels.shape[1:]}, generator made for {self.image_size}")
        self._store = ImageStore(pixels)

    def train_dataloader(self) -> PlanLoader:
        """Load this rank's share of every batch."""
        if self._store is None:
            raise RuntimeError("train_on() comes before the fit")
        plan = self.plan(len(self._store))
        return PlanLoader(plan, self.trainer.global_rank, self.trainer.world_size)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Make the step a Python number while it is on the host: reading it back would wait."""
        return {**batch, "step": int(batch["step"][0])}

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Add the pixels."""
        if self._store is None:
            raise RuntimeError("train_on() comes before the fit")
        return {**batch, "image": self._store.gather(batch["row"], batch["row"].device)}

    def check_trainer(self, trainer: L.Trainer) -> None:
        """Refuse a Trainer that cannot fit this generator.

        Raises:
            UserError: Names the key.
        """
        precision = str(trainer.precision)
        if precision.startswith("16"):
            raise UserError(
                f"trainer.precision={precision}: a generator needs 32-true or bf16-mixed"
            )
        if trainer.accumulate_grad_batches != 1:
            raise UserError("trainer.accumulate_grad_batches: a generator needs 1")
        if self.batch_size % trainer.world_size:
            raise UserError(
                f"generator.batch_size={self.batch_size}: must be a multiple of the "
                f"{trainer.world_size} devices"
            )

    def on_fit_start(self) -> None:
        """Check once more, where somebody else has made the Trainer."""
        self.check_trainer(self.trainer)

    @property
    def records(self) -> bool:
        """Whether `record` records: on one CUDA device, where the config does not forbid it."""
        alone = self.trainer.world_size == 1
        return self.cuda_graph and alone and self.device.type == "cuda"

    def record(self, function: Function) -> Function:
        """Make a function of tensors a CUDA graph, where that can be; see `StepGraph`."""
        return StepGraph(function) if self.records else function

    def mean_of_ranks(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Average tensors over the processes of the fit, in one message."""
        if self.trainer.world_size == 1:
            return list(tensors)
        flat = torch.cat([one.reshape(-1) for one in tensors])
        mean: Any = self.trainer.strategy.reduce(flat, reduce_op="mean")
        parts = mean.split([one.numel() for one in tensors])
        # Copied into the tensors themselves, whose memory layout must stay.
        return [one.copy_(part.view(one.shape)) for one, part in zip(tensors, parts, strict=True)]

    def on_train_start(self) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Check that the fit is where it believes to be."""
        if batch["step"] != self.trainer.global_step:
            raise RuntimeError(
                f"batch of step {batch['step']} came at step {self.trainer.global_step}"
            )

    def on_train_end(self) -> None:
        """Let go of a graph, and of the gradients that lie in its memory."""
        self.step_function = None
        self.zero_grad(set_to_none=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the seconds of fitting so far."""
        checkpoint["fit_seconds"] = self.seconds_so_far()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the seconds of the process that was killed."""
        self.fit_seconds = float(checkpoint["fit_seconds"])
        self._started = time.monotonic()

    def seconds_so_far(self) -> float:
        """Seconds of fitting, over all processes that took part in turn."""
        return self.fit_seconds + time.monotonic() - self._started


def to_grey(images: Tensor) -> Tensor:
    """Map [-1, 1] to 0..255 by a fixed map, rounded and clipped: uint8 of the same shape."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def from_grey(images: Tensor) -> Tensor:
    """Map 0..255 to [-1, 1]: float32, shape (B, H, W) to (B, 1, H, W)."""
    return images.unsqueeze(1).float() / 127.5 - 1
