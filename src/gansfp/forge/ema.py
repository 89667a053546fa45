"""Exponential moving average of weights: what a generator samples with."""

from __future__ import annotations

import copy

import torch
from torch import nn


def ema_decay(step: int, ceiling: float) -> float:
    """Decay after an optimiser step: `min(ceiling, (1 + step) / (10 + step))`.

    The ramp lets the average forget the random weights of the start.

    Args:
        step: Number of the step, from 0.
        ceiling: Where the ramp ends.
    """
    return min(ceiling, (1 + step) / (10 + step))


class EMA(nn.Module):
    """A copy of a network whose weights follow the trained ones; part of the checkpoint.

    Args:
        network: What to follow; it is copied.
        ceiling: Decay after the ramp.
    """

    def __init__(self, network: nn.Module, ceiling: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.ceiling = ceiling

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards `network` after optimiser step `step` (from 0)."""
        weight = 1 - ema_decay(step, self.ceiling)
        torch._foreach_lerp_(list(self.network.parameters()), list(network.parameters()), weight)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)

    def train(self, mode: bool = True) -> EMA:
        """Stay in evaluation mode: no dropout in samples."""
        return super().train(False)
