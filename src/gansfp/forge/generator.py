"""The seam between a generator and the forge: trained by steps, sampled by blocks."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import torch

from gansfp.data.batches import PlanLoader
from gansfp.data.store import ImageStore
from gansfp.errors import UserError
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
    """

    def __init__(
        self, image_size: int, steps: int, batch_size: int, sample_batch_size: int, seed: int
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
        self.fit_seconds = 0.0
        self._started = time.monotonic()
        self._store: ImageStore | None = None

    @abstractmethod
    def sample_block(self, block: int, seed: int) -> Tensor:
        """Draw a block: uint8, (sample_batch_size, H, W), a function of the arguments alone."""

    @property
    @abstractmethod
    def last_loss(self) -> float:
        """Training loss at the end of the fit, for the card."""

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

    def on_train_start(self) -> None:
        """Start the clock."""
        if self.trainer.accumulate_grad_batches != 1:
            raise UserError("trainer.accumulate_grad_batches: a generator needs 1")
        self._started = time.monotonic()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Check that the fit is where it believes to be."""
        if batch["step"] != self.trainer.global_step:
            raise RuntimeError(
                f"batch of step {batch['step']} came at step {self.trainer.global_step}"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store the seconds of fitting so far."""
        checkpoint["fit_seconds"] = self.seconds_so_far()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the seconds of the process that was killed."""
        self.fit_seconds = float(checkpoint["fit_seconds"])

    def seconds_so_far(self) -> float:
        """Seconds of fitting, over all processes that took part in turn."""
        return self.fit_seconds + time.monotonic() - self._started


def to_grey(images: Tensor) -> Tensor:
    """Map [-1, 1] to 0..255 by a fixed map, rounded and clipped: uint8 of the same shape."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def from_grey(images: Tensor) -> Tensor:
    """Map 0..255 to [-1, 1]: float32, shape (B, H, W) to (B, 1, H, W)."""
    return images.unsqueeze(1).float() / 127.5 - 1
