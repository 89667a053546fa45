"""Checkpoints that survive a kill at any moment and resume to the same numbers."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.plugins import TorchCheckpointIO

from gansfp.runtime.interrupts import deferred

LAST = "last.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint beside its name, flush it to disk, then rename.

    Lightning's own writer moves a file out of the temporary folder, which is a copy where that
    folder lies on another file system: a kill would leave half a checkpoint.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Save in one atomic step."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        # An interrupt in the middle of torch.save comes out as a RuntimeError of its zip writer.
        with deferred():
            with partial.open("wb") as stream:
                torch.save(checkpoint, stream)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(target)


class ResumeCheckpoint(L.Callback):
    """Keep `last.ckpt`, the state from which a killed fit goes on, random generators included.

    Args:
        every_n_steps: Look at the clock after this many optimiser steps.
        every_seconds: Save if the last save is this old; 0 saves at every look.
    """

    def __init__(self, every_n_steps: int = 25, every_seconds: float = 30.0) -> None:
        self.every_n_steps = every_n_steps
        self.every_seconds = every_seconds
        self._saved_at = time.monotonic()
        self._saved_step = -1

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Save when it is time; all ranks follow rank 0's clock."""
        step = trainer.global_step
        if step % self.every_n_steps or step == self._saved_step:
            return
        due = time.monotonic() - self._saved_at >= self.every_seconds
        if trainer.strategy.broadcast(due):
            self._save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save the finished state."""
        self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        trainer.save_checkpoint(last_checkpoint(Path(trainer.default_root_dir)))
        self._saved_at = time.monotonic()
        self._saved_step = trainer.global_step

    def state_dict(self) -> dict[str, Any]:
        """Hold the state of every random generator, in types that a safe load accepts."""
        algorithm, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
        version, internal, gauss_next = random.getstate()
        return {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "numpy": [str(algorithm), torch.from_numpy(np.array(keys)), position, has_gauss, gauss],
            "python": [version, list(internal), gauss_next],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put every random generator back; those of absent GPUs are left alone."""
        torch.set_rng_state(state["torch"])
        if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda"])
        algorithm, keys, *rest = state["numpy"]
        np.random.set_state((algorithm, keys.numpy(), *rest))
        version, internal, gauss_next = state["python"]
        random.setstate((version, tuple(internal), gauss_next))


def last_checkpoint(folder: Path) -> Path:
    """Name the file that a fit in `folder` resumes from; it may not exist yet."""
    return folder / "checkpoints" / LAST


def resume_from(folder: Path) -> Path | None:
    """Find the checkpoint that a fit in `folder` goes on from; strangers' files are never used."""
    path = last_checkpoint(folder)
    return path if path.is_file() else None
