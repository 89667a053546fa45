"""Runs methods that Lightning trains: fit on any number of processes, predict on one device."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from gansfp.build import instantiate, instantiate_all
from gansfp.features.cpu import keep_small_buffers
from gansfp.runtime import hardware
from gansfp.runtime.checkpoints import AtomicCheckpointIO, last_checkpoint, resume_from

if TYPE_CHECKING:
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
    from lightning.pytorch.loggers.logger import Logger
    from numpy.typing import NDArray
    from omegaconf import DictConfig

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.methods.base import BenchmarkModule

log = logging.getLogger(__name__)


def make_trainer(
    config: DictConfig,
    folder: Path,
    *,
    callbacks: Any = None,
    loggers: Sequence[Logger] = (),
    first: Sequence[L.Callback] = (),
) -> L.Trainer:
    """Build the Trainer of a fit in `folder`.

    Args:
        config: The `trainer` node.
        folder: Where checkpoints and metrics go.
        callbacks: The `callbacks` node, a mapping of nodes.
        loggers: Already built.
        first: Callbacks that act before those.

    Raises:
        UserError: This machine cannot run it.
    """
    hardware.check_trainer(config)
    trainer: L.Trainer = instantiate(
        config,
        default_root_dir=str(folder),
        callbacks=[*first, *instantiate_all(callbacks)],
        logger=list(loggers) or False,
        plugins=[AtomicCheckpointIO(), *_environment(config)],
        enable_checkpointing=False,  # the resume callback writes the only checkpoint
    )
    return trainer


def _environment(config: DictConfig) -> list[ClusterEnvironment]:
    """Say who starts the processes, where SLURM's variables are around.

    The tasks of a SLURM job are the ranks of one fit. A job of one task starts further processes
    by itself, whatever the variables say. Lightning must never requeue: the launcher does.
    """
    if "SLURM_JOB_ID" not in os.environ:
        return []
    tasks = int(os.environ.get("SLURM_NTASKS", "1"))
    if tasks > 1 and tasks == config.devices * config.num_nodes:
        return [SLURMEnvironment(auto_requeue=False)]
    return [LightningEnvironment()]


def fit(trainer: L.Trainer, module: L.LightningModule, data: L.LightningDataModule) -> None:
    """Fit, going on from the folder's own last checkpoint where there is one.

    Raises:
        KeyboardInterrupt: The fit was stopped before its end; some versions of Lightning return
            as if nothing had been.
    """
    checkpoint = resume_from(Path(trainer.default_root_dir))
    if checkpoint:
        log.info("resuming from %s", checkpoint)
    _tune(trainer)
    trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    if trainer.interrupted or trainer.received_sigterm:
        raise KeyboardInterrupt


def leave_group(trainer: L.Trainer) -> bool:
    """Let all ranks meet after the fit, and end their process group.

    What follows runs on rank 0 alone. With the group still standing, a collective operation there
    would wait for ranks that have left.

    Returns:
        True on rank 0.
    """
    trainer.strategy.barrier("fit done")
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return trainer.is_global_zero


def load_module(module: BenchmarkModule, folder: Path) -> BenchmarkModule:
    """Read the fitted state back from a run folder."""
    return type(module).load_from_checkpoint(
        last_checkpoint(folder), map_location="cpu", weights_only=True
    )


def predict(
    module: BenchmarkModule,
    data: BenchmarkDataModule,
    rows: NDArray[np.int64],
    trainer_config: DictConfig,
) -> NDArray[np.float64]:
    """Score images with a fitted module on one device.

    Args:
        module: Fitted.
        data: The benchmark.
        rows: Images, shape (n,).
        trainer_config: The `trainer` node; accelerator and precision are taken from it. A run
            that was fitted on a GPU predicts without one where there is none.

    Returns:
        What `BenchmarkModule.scores` gives.
    """
    needed = module.predict_rows(data, rows)
    data.predict_rows = needed
    collected = _Outputs(len(needed))
    accelerator = trainer_config.accelerator
    trainer = L.Trainer(
        accelerator=accelerator if hardware.is_usable(accelerator) else "auto",
        devices=1,
        precision=trainer_config.precision,
        # One process, also where a cluster's or torchrun's environment speaks of several.
        plugins=[LightningEnvironment()],
        callbacks=[collected],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    _tune(trainer)
    trainer.predict(module, datamodule=data, return_predictions=False)
    return module.scores(collected.values(), needed, data, rows)


class _Outputs(L.Callback):
    """Copies what `predict_step` gives into one tensor, batch by batch.

    A list of the batches' tensors would be strewn over the heap between activations that are
    freed, and leave holes that no later activation fits in: 0.3 MB for each image of 256x256.

    Args:
        count: Number of images.
    """

    def __init__(self, count: int) -> None:
        self._count, self._filled = count, 0
        self._values: torch.Tensor | None = None

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep a batch's outputs, float32 on the CPU."""
        if self._values is None:
            self._values = torch.empty(self._count, *outputs.shape[1:])
        self._values[self._filled : self._filled + len(outputs)] = outputs
        self._filled += len(outputs)

    def values(self) -> torch.Tensor:
        """Give all outputs, float32, shape (count, ...)."""
        if self._values is None or self._filled != self._count:
            raise RuntimeError(f"{self._filled} outputs of {self._count} images")
        return self._values


def _tune(trainer: L.Trainer) -> None:
    if trainer.strategy.root_device.type == "cpu":
        keep_small_buffers()
