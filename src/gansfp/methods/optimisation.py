"""Optimisers and learning-rate schedules by name, for methods that choose them in a recipe."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import lightning as L
    from torch.optim import Optimizer

    from gansfp.data.datamodule import BenchmarkDataModule

OptimiserName = Literal["adam", "adamw", "sgd"]
ScheduleName = Literal["constant", "cosine", "one_cycle"]


def make_optimiser(
    name: OptimiserName,
    parameters: Iterable[Any],
    lr: float,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
) -> Optimizer:
    """Build an optimiser.

    Args:
        name: `adam`, `adamw` or `sgd`.
        parameters: Parameters, or groups of them with options of their own.
        lr: Learning rate.
        weight_decay: Decoupled for `adamw`, else added to the gradient.
        momentum: Of `sgd`.

    Raises:
        UserError: There is no such optimiser.
    """
    if name == "adam":
        return torch.optim.Adam(parameters, lr=lr, weight_decay=weight_decay)
    if name == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=lr, weight_decay=weight_decay, momentum=momentum)
    raise UserError(f"method.optimiser={name}: choose {', '.join(get_args(OptimiserName))}")


def make_schedule(
    name: ScheduleName, optimiser: Optimizer, steps: int, warmup: float = 0.0
) -> LRScheduler | None:
    """Build a schedule that moves at each step; None where the rate stays.

    Args:
        name: `constant`; `cosine`: linear warm-up, then half a cosine down to 0; `one_cycle`:
            torch's defaults (Smith and Topin, "Super-convergence", 2018), the learning rate being
            its peak.
        optimiser: Its learning rates are the peaks.
        steps: Optimiser steps of the whole fit.
        warmup: Share of the steps in which `cosine` rises.

    Raises:
        UserError: There is no such schedule.
    """
    if name == "constant":
        return None
    if name == "one_cycle":
        peaks = [group["lr"] for group in optimiser.param_groups]
        return OneCycleLR(optimiser, max_lr=peaks, total_steps=max(steps, 2))
    if name == "cosine":
        rising = round(warmup * steps)

        def share(step: int) -> float:
            if step < rising:
                return (step + 1) / rising
            done = (step - rising) / max(1, steps - rising)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

        return LambdaLR(optimiser, share)
    raise UserError(f"method.schedule={name}: choose {', '.join(get_args(ScheduleName))}")


def steps_of_fit(trainer: L.Trainer, data: BenchmarkDataModule) -> int:
    """Count the optimiser steps of a whole fit.

    Not by `trainer.estimated_stepping_batches`: it makes Lightning load the training data before a
    checkpoint's position is read, so that a fit resumed within an epoch starts that epoch again.

    Args:
        trainer: Its limits on epochs, steps and batches count.
        data: Its training batches are counted.
    """
    batches, limit = len(data.train_dataloader()), trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    steps = math.ceil(batches / trainer.accumulate_grad_batches) * max(trainer.max_epochs or 1, 1)
    return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)


def optimisation(optimiser: Optimizer, schedule: LRScheduler | None) -> dict[str, Any]:
    """Lay both out as Lightning's `configure_optimizers` returns them."""
    if schedule is None:
        return {"optimizer": optimiser}
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
