"""Joins what the processes of a distributed fit hold, with gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import distributed

if TYPE_CHECKING:
    from torch import Tensor


def gather_batch(local: Tensor) -> Tensor:
    """Join the shares of a batch from all processes.

    A loss that each process computes on the joined batch, or on its own share against the joined
    batch, has after DDP's averaging the gradient of one process with the whole batch.

    Args:
        local: This process's share, shape (b, ...), of equal shape everywhere.

    Returns:
        Shape (b * processes, ...), in the order of the whole batch: `PlanLoader` deals its rows out
        in turn. With one process, `local` itself.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return local
    if distributed.get_world_size() == 1:
        return local
    if local.requires_grad and torch.is_grad_enabled():
        from torch.distributed.nn.functional import all_gather

        parts = list(all_gather(local))  # type: ignore[no-untyped-call]
    else:
        parts = [torch.empty_like(local) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, local.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)


def mean_of_processes(tensors: list[Tensor]) -> list[Tensor]:
    """Average tensors over all processes, in place of what DDP does for a single loss.

    Args:
        tensors: Of equal shapes everywhere, such as gradients that were taken by hand.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return tensors
    world = distributed.get_world_size()
    for tensor in tensors:
        distributed.all_reduce(tensor)
        tensor /= world
    return tensors
