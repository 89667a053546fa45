"""The queue of keys and the momentum update of MoCo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from gansfp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


class KeyQueue(nn.Module):
    """The latest keys, first in, first out (He et al., MoCo, CVPR 2020).

    It starts with random directions, as the reference code does. No step waits for the GPU: the
    place to write is a tensor.

    Args:
        size: Number of keys.
        dim: Size of a key.

    Attributes:
        keys: Shape (size, dim).
        pointer: Where the next key goes, int64, shape (1,).
    """

    keys: Tensor
    pointer: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 1:
            raise UserError(f"method.queue={size}: must be at least 1")
        self.register_buffer("keys", F.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("pointer", torch.zeros(1, dtype=torch.int64))

    @torch.no_grad()
    def push(self, keys: Tensor) -> None:
        """Write keys over the oldest ones, going on at the start where the end is reached.

        Args:
            keys: In the order of the batch, shape (B, dim), B <= size.

        Raises:
            UserError: More keys than the queue holds.
        """
        size = len(self.keys)
        if len(keys) > size:
            raise UserError(f"method.queue={size}: must hold a batch of {len(keys)} at least")
        places = (self.pointer + torch.arange(len(keys), device=self.keys.device)) % size
        self.keys.index_copy_(0, places, keys.detach().to(self.keys.dtype))
        self.pointer.add_(len(keys)).remainder_(size)


@torch.no_grad()
def follow(target: nn.Module, source: nn.Module, momentum: float) -> None:
    """Move the parameters of `target` towards `source`: target = m target + (1 - m) source.

    Buffers stay: the key network's batch norms keep statistics of their own, as in MoCo.
    """
    mine: list[Tensor] = list(target.parameters())
    theirs: list[Tensor] = list(source.parameters())
    torch._foreach_lerp_(mine, theirs, 1 - momentum)
