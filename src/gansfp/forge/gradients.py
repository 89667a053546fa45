"""Gradients as tensors: taken without touching `.grad`, so that a CUDA graph can record it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def take_gradients(loss: Tensor, weights: Sequence[nn.Parameter]) -> list[Tensor]:
    """Differentiate a loss by some weights, and by no others.

    Args:
        loss: A number.
        weights: Those that the loss does not depend on get zeros.

    Returns:
        One gradient a weight, in the weight's memory layout.
    """
    found = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
    return [_laid_out(one, like) for one, like in zip(found, weights, strict=True)]


def give_gradients(weights: Iterable[nn.Parameter], gradients: Iterable[Tensor]) -> None:
    """Set `.grad` of each weight."""
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient


def _laid_out(gradient: Tensor, weight: Tensor) -> Tensor:
    """Copy where the strides differ: fused optimisers walk through both as through one array."""
    if gradient.stride() == weight.stride():
        return gradient
    return torch.empty_like(weight).copy_(gradient)
