"""Random numbers as pure functions of integer keys: the same bits on every device and rank.

A stateful generator gives other numbers on a GPU than on a CPU, and other ones to a rank that sees
a part of the batch. Here a key stands for what is drawn for (seed, epoch, step, place in the
batch), and numbers are read off it by SplitMix64 (Steele, Lea and Flood, "Fast splittable
pseudorandom number generators", OOPSLA 2014).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def _signed(value: int) -> int:
    """Write 64 bits as torch's signed integers do."""
    return value - (1 << 64) if value >= 1 << 63 else value


_GAMMA = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)
_BITS = 24  # as many as a float32 holds exactly


def batch_keys(seed: int, epoch: int, step: int, size: int) -> Tensor:
    """Make the keys of a global batch: one for each place in it.

    Args:
        seed: Seed of the run.
        epoch: Epoch.
        step: Step within the epoch.
        size: Images, pairs, ... in the global batch.

    Returns:
        Keys, int64, shape (size,).
    """
    key = torch.tensor(seed, dtype=torch.int64)
    return derive(derive(derive(key, epoch), step), torch.arange(size))


def derive(keys: Tensor, number: int | Tensor) -> Tensor:
    """Derive new keys, one for each number, that share no random numbers with the old ones.

    Args:
        keys: int64, any shape.
        number: What to tell apart: a step, a view, the position of a transform, ...

    Returns:
        Keys, int64, of the broadcast shape.
    """
    # A number stays one: as a tensor it would be copied to the GPU, which waits for it.
    told: int | Tensor = number * _GAMMA + _SECOND
    if isinstance(told, int):
        told = _signed(told % (1 << 64))
    return _mix(_mix(keys + _GAMMA) ^ told)


def uniform(keys: Tensor, count: int) -> Tensor:
    """Draw numbers uniform in [0, 1).

    Args:
        keys: int64, shape (B,).
        count: Numbers of each key.

    Returns:
        float32, shape (B, count), multiples of 2**-24.
    """
    return (_shifted(bits(keys, count), 64 - _BITS)).to(torch.float32) * 2.0**-_BITS


def normal(keys: Tensor, count: int) -> Tensor:
    """Draw standard normal numbers (Box and Muller, 1958).

    Args:
        keys: int64, shape (B,).
        count: Numbers of each key.

    Returns:
        float32, shape (B, count); no further than 5.8 from zero.
    """
    pairs = (count + 1) // 2
    drawn = uniform(keys, 2 * pairs)
    radius = (-2 * torch.log1p(-drawn[:, :pairs])).sqrt()
    angle = 2 * math.pi * drawn[:, pairs:]
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :count]


def bits(keys: Tensor, count: int) -> Tensor:
    """Read the SplitMix64 stream that starts at each key: int64, shape (B, count)."""
    steps = torch.arange(1, count + 1, device=keys.device)
    return _mix(keys[:, None] + steps * _GAMMA)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, places: int) -> Tensor:
    """Shift right and fill with zeros; torch's own shift repeats the sign."""
    return (x >> places) & ((1 << (64 - places)) - 1)
