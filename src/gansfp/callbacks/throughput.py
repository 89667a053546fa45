"""How many images a second a fit trains on, all processes together."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from gansfp.runtime.files import write_json

THROUGHPUT = "throughput.json"


class Throughput(L.Callback):
    """Time the training steps; `throughput.json` in the Trainer's folder has the rate.

    The time between two steps counts, with loading and the exchange of gradients. Warm-up,
    validation and what else comes between epochs do not.

    Args:
        skip: Steps of warm-up.
    """

    def __init__(self, skip: int = 5) -> None:
        self.skip = skip
        self.images, self.seconds, self.steps = 0, 0.0, 0
        self._last: float | None = None

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, *_: Any
    ) -> None:
        """Count a step."""
        if trainer.global_step < self.skip:
            return
        if self._last is None:
            _wait(pl_module)
            self._last = time.perf_counter()
            return
        now = time.perf_counter()
        self.seconds += now - self._last
        self.images += images_in(batch)
        self.steps += 1
        self._last = now

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Wait for the steps that still run, and stop the clock."""
        if self._last is not None:
            _wait(pl_module)
            self.seconds += time.perf_counter() - self._last
        self._last = None

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop the clock: Lightning validates before an epoch ends."""
        self.on_train_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the rate of all processes; each has the same share of every batch."""
        if trainer.is_global_zero and self.steps:
            images = self.images * trainer.world_size
            rate = {
                "images_per_second": images / self.seconds,
                "steps_per_second": self.steps / self.seconds,
                "steps": self.steps,
                "images_per_step": images / self.steps,
                "world_size": trainer.world_size,
            }
            write_json(Path(trainer.default_root_dir) / THROUGHPUT, rate)


def images_in(batch: Any) -> int:
    """Count the images of a batch: tensors named `image`, `x_image`, `image_2`, (..., H, W)."""
    pictures = [
        value
        for name, value in batch.items()
        if isinstance(value, Tensor) and value.ndim >= 3 and "image" in name
    ]
    return sum(value.shape[:-2].numel() for value in pictures)


def _wait(module: L.LightningModule) -> None:
    if module.device.type == "cuda":
        torch.cuda.synchronize(module.device)
