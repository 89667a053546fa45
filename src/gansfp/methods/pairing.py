"""Scores of many pairs of images, from what a network keeps of each image."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lightning import LightningModule
    from torch import Tensor, nn


@contextmanager
def on_scoring_device(module: LightningModule, part: nn.Module) -> Iterator[torch.device]:
    """Put a part of a method on the device that it predicts on, in evaluation mode.

    A Trainer takes the method back to the CPU before scores are made from its outputs.

    Args:
        module: The method; its Trainer knows the device.
        part: What compares pairs.
    """
    trainer = module._trainer
    home = next(part.parameters()).device
    device = trainer.strategy.root_device if trainer is not None else home
    training = part.training
    part.to(device).eval()
    try:
        with torch.inference_mode():
            yield device
    finally:
        part.to(home).train(training)


def compare_pairs(
    compare: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
    left: Tensor,
    right: Tensor,
    pairs: Tensor,
    device: torch.device,
    chunk: int = 2048,
) -> tuple[Tensor, ...]:
    """Compare pairs of images, a number of them at a time.

    Args:
        compare: From images of both sides, (B, ...), to values of each pair, (B,).
        left: What the network kept of the left images, shape (n, ...).
        right: Likewise, shape (m, ...).
        pairs: Indices of the left and the right image of each pair, int64, shape (p, 2).
        device: Where to compare.
        chunk: Pairs at a time.

    Returns:
        The values, each fp64, shape (p,), on the CPU.
    """
    found = [
        compare(left[part[:, 0]].to(device), right[part[:, 1]].to(device))
        for part in pairs.split(chunk)  # type: ignore[no-untyped-call]
    ]
    return tuple(torch.cat(values).double().cpu() for values in zip(*found, strict=True))
