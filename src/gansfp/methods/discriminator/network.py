"""A small CNN for crops, and where crops are cut."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn

from gansfp.data.draws import uniform

if TYPE_CHECKING:
    from torch import Tensor

_GROUP = 8


class CropNet(nn.Module):
    """Grey crops to one logit: strided convolutions with group norm, mean over places, one layer.

    No batch norm: its statistics alone would tell a batch of one kind from a batch of the other.

    Args:
        width: Channels of the first stage; each further one has half the resolution and twice as
            many.
        stages: Number of stages.
        dropout: Share of the features that are dropped in training.
    """

    def __init__(self, width: int = 16, stages: int = 3, dropout: float = 0.2) -> None:
        super().__init__()
        widths = [1, *(width * 2**number for number in range(stages))]
        layers: list[nn.Module] = []
        for number, (inside, outside) in enumerate(pairwise(widths)):
            layers += [
                nn.Conv2d(inside, outside, 3, stride=1 if number == 0 else 2, padding=1),
                nn.GroupNorm(max(1, outside // _GROUP), outside),
                nn.LeakyReLU(0.2),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1], 1))

    def forward(self, crops: Tensor) -> Tensor:
        """Map grey crops in [0, 1], (B, h, w), to logits, (B,)."""
        maps = self.body(2 * crops[:, None] - 1)
        logits: Tensor = self.head(maps.mean(dim=(2, 3)))[:, 0]
        return logits


def random_crops(images: Tensor, keys: Tensor, side: int) -> Tensor:
    """Cut a square out of each image, anywhere.

    Args:
        images: Shape (B, H, W).
        keys: Where its place comes from (`gansfp.data.draws`), shape (B,).
        side: Of the squares, pixels.

    Returns:
        Shape (B, side, side).
    """
    room = torch.tensor([images.shape[1] - side + 1, images.shape[2] - side + 1])
    corner = (uniform(keys, 2) * room.to(images.device)).long()
    steps = torch.arange(side, device=images.device)
    number = torch.arange(len(images), device=images.device)[:, None, None]
    rows, columns = corner[:, :1] + steps, corner[:, 1:] + steps
    return images[number, rows[:, :, None], columns[:, None, :]]


def even_crops(images: Tensor, side: int, grid: int) -> Tensor:
    """Cut grid x grid squares out of each image, evenly placed: (B, grid^2, side, side)."""
    rows, columns = (
        torch.linspace(0, size - side, grid).round().long().tolist() for size in images.shape[1:]
    )
    cut = [images[:, a : a + side, b : b + side] for a in rows for b in columns]
    return torch.stack(cut, dim=1)
