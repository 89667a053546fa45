"""Fits and predicts learned methods in a test's own process."""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np
import torch


def quiet_trainer(**options: Any) -> L.Trainer:
    """Build a Trainer on the CPU that writes nothing."""
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        **{"enable_checkpointing": False, "max_epochs": 1, **options},
    )


def predicted(module: Any, data: Any, rows: np.ndarray) -> np.ndarray:
    """Score rows as `gansfp.runtime.learned.predict` does."""
    data.predict_rows = module.predict_rows(data, rows)
    outputs = torch.cat(quiet_trainer().predict(module, data))
    return module.scores(outputs, data.predict_rows, data, rows)


def first_batch(data: Any) -> dict[str, torch.Tensor]:
    """Take the first training batch, with its images."""
    return data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
