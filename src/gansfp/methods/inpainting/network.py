"""A small U-Net that restores hidden squares, and the squares that are hidden."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_GROUP = 8


class Inpainter(nn.Module):
    """Restores grey images whose hidden places are blanked and marked.

    The image is folded to half its side in four planes, so that three levels reach across hidden
    squares of 16 pixels; two convolutions a level, group norm, a path across at each level. Grey
    values are taken from the mean of what is seen, which group norm would lose.

    Args:
        width: Channels of the first level; the next have two and four times as many.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width)
        self.stem = nn.Conv2d(8, width, 3, padding=1)
        self.down = nn.ModuleList(_block(a, b) for a, b in pairwise((width, *widths)))
        self.middle = _block(widths[2], widths[2])
        self.up = nn.ModuleList([_block(widths[2] + widths[1], widths[1]),
                                 _block(widths[1] + widths[0], widths[0])])  # fmt: skip
        self.last = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, images: Tensor, hidden: Tensor) -> Tensor:
        """Restore images.

        Args:
            images: Grey values in [0, 1], shape (B, H, W), sides multiples of 8.
            hidden: What must not be seen, bool, shape (B, H, W).

        Returns:
            Grey values, shape (B, H, W).
        """
        mask = hidden.to(images.dtype)
        level = (images * (1 - mask)).sum(dim=(1, 2), keepdim=True)
        level = level / (1 - mask).sum(dim=(1, 2), keepdim=True).clamp(min=1)
        planes = torch.stack([4 * (images - level) * (1 - mask), mask], dim=1)
        x = self.stem(F.pixel_unshuffle(planes, 2))
        fine = self.down[0](x)
        mid = self.down[1](F.avg_pool2d(fine, 2))
        deep = self.middle(self.down[2](F.avg_pool2d(mid, 2)))
        mid = self.up[0](torch.cat([F.interpolate(deep, scale_factor=2), mid], dim=1))
        fine = self.up[1](torch.cat([F.interpolate(mid, scale_factor=2), fine], dim=1))
        restored: Tensor = F.pixel_shuffle(self.last(fine), 2)[:, 0]
        return level + restored / 4


def hidden_squares(order: Tensor, side: int, square: int, share: float) -> Tensor:
    """Hide squares of a grid.

    Args:
        order: One number for each square, the smallest are hidden; shape (B, (side / square)^2).
        side: Of the images, pixels.
        square: Side of a square, pixels.
        share: Of the squares, to be hidden.

    Returns:
        bool, shape (B, side, side).
    """
    cells = side // square
    count = max(1, round(share * cells**2))
    chosen = torch.zeros_like(order, dtype=torch.bool)
    chosen.scatter_(1, order.argsort(dim=1)[:, :count], True)
    grid = chosen.view(-1, cells, cells)
    return grid.repeat_interleave(square, dim=1).repeat_interleave(square, dim=2)


def balanced_masks(
    side: int, square: int, share: float, masks: int, seed: int
) -> NDArray[np.float32]:
    """Order the squares at random for each mask, so that every square is hidden about as often.

    A permutation of the squares is cut in parts of equal size, a mask hides a part; further masks
    take further permutations.

    Returns:
        `order` of `hidden_squares`, shape (masks, (side / square)^2).
    """
    cells = (side // square) ** 2
    count = max(1, round(share * cells))
    rng = np.random.default_rng(seed)
    orders: list[NDArray[np.float32]] = []
    while len(orders) < masks:
        permutation = rng.permutation(cells)
        for start in range(0, cells - count + 1, count):
            order = np.ones(cells, np.float32)
            order[permutation[start : start + count]] = 0
            orders.append(order)
    return np.stack(orders[:masks])


def check_squares(side: int, square: int) -> None:
    """Refuse squares that do not tile the images.

    Raises:
        UserError: Says which sides fit.
    """
    if square < 1 or side % square or side // square < 2:
        raise UserError(
            f"method.square={square}: must divide the images' side of {side} pixels, twice or more"
        )
    if side % 8:
        raise UserError(f"data.resize: sides must be multiples of 8, the images have {side} pixels")


def _block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1),
        nn.GroupNorm(max(1, outside // _GROUP), outside),
        nn.SiLU(),
        nn.Conv2d(outside, outside, 3, padding=1),
        nn.GroupNorm(max(1, outside // _GROUP), outside),
        nn.SiLU(),
    )
