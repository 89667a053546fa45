"""Structural similarity of all pairs of two blocks of images: operations of torch, for a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from gansfp.features.ssim.constants import C1, C2

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_TILE = 1 << 23
"""(pair, column) combinations that are worked on at a time: kernels are long enough to hide their
start, and eight buffers take 256 MB."""

_COLUMNS = 64
"""Right images of a tile: the innermost index runs over them."""


def similarities(
    left: NDArray[np.uint8],
    right: NDArray[np.uint8],
    window: int,
    device: torch.device,
    tile: int = _TILE,
) -> NDArray[np.float32]:
    """Compare all images of two blocks, tile by tile.

    A pair costs the window sums of its product alone, which move down the rows by one addition and
    one subtraction. They are whole numbers, as is area * sum xy - sum x * sum y, area^2 times the
    covariance; its terms may overflow 32 bits, it does not.

    Args:
        left: Grey images, shape (n, H, W).
        right: Grey images, shape (m, H, W).
        window: Side of the window.
        device: Where the pairs are worked on.
        tile: Pairs times columns held at a time.

    Returns:
        Mean SSIM, shape (n, m).
    """
    columns = max(1, min(_COLUMNS, tile // left.shape[2]))
    rows = max(1, tile // left.shape[2] // columns)
    with torch.inference_mode():
        mine = _Side.of(left, window, device, left=True)
        yours = _Side.of(right, window, device, left=False)
        result = torch.empty((len(left), len(right)), device=device)
        space = None
        for start in range(0, len(right), columns):
            for top in range(0, len(left), rows):
                one, two = slice(top, top + rows), slice(start, start + columns)
                pair = mine.images(one, left=True), yours.images(two, left=False)
                shape = tuple(result[one, two].shape)
                if space is None or space.shape != shape:
                    space = _Space(*pair, window)
                result[one, two] = space.similarity(*pair)
        return result.cpu().numpy()


@dataclass(frozen=True)
class _Side:
    """The images of one side and the statistics of their windows.

    Each has the shape (rows, images, columns, 1) on the left and (rows, 1, columns, images) on the
    right, so that a row of one broadcasts with a row of the other to (left, columns, right).

    Attributes:
        pixels: Grey levels, int32; on the left times the area of a window.
        sums: Sum of each window, int32.
        level: The same in fp32; on the left twice that.
        bright: Square of the sum, fp32; on the left plus C1 area^2.
        rough: area^2 times the variance of each window, fp32; on the left plus C2, scaled alike.
    """

    pixels: Tensor
    sums: Tensor
    level: Tensor
    bright: Tensor
    rough: Tensor

    @classmethod
    def of(
        cls, images: NDArray[np.uint8], window: int, device: torch.device, *, left: bool
    ) -> _Side:
        grey = torch.from_numpy(np.array(images)).to(device).transpose(0, 1)
        grey = grey.int() if left else grey.transpose(1, 2).contiguous().int()
        along, area = 2 if left else 1, window**2
        sums = _slide(_slide(grey, window, 0), window, along)
        squares = _slide(_slide(grey.square(), window, 0), window, along)
        rough = (squares * area - sums.square()).float()
        level = sums.float()
        bright = level.square()
        if left:
            grey, level = grey * area, 2 * level
            bright += C1 * area**2
            rough += _constant(window)
        parts = (grey, sums, level, bright, rough)
        return cls(*(part.unsqueeze(3 if left else 1) for part in parts))

    def images(self, part: slice, *, left: bool) -> _Side:
        """Take some of the images."""
        where = (slice(None), part) if left else (Ellipsis, part)
        parts = (self.pixels, self.sums, self.level, self.bright, self.rough)
        return _Side(*(values[where] for values in parts))


class _Space:
    """The buffers of a tile of pairs, and the work on it, row of windows after row."""

    def __init__(self, left: _Side, right: _Side, window: int) -> None:
        self.window = window
        n, (width, m) = left.pixels.shape[1], right.pixels.shape[2:]
        self.shape, self.inside = (n, m), width - window + 1
        full = [left.pixels.new_empty((n, width, m)) for _ in range(window.bit_length())]
        self.column, self.doubled = full[0], full[1:]
        self.sums = left.pixels.new_empty((n, self.inside, m))
        self.ratio, self.scale = (torch.empty_like(self.sums, dtype=torch.float32) for _ in "rs")

    def similarity(self, left: _Side, right: _Side) -> Tensor:
        """Mean SSIM of each pair, shape (left, right)."""
        total = left.pixels.new_zeros(self.shape, dtype=torch.float64)
        self.column.zero_()
        for row in range(len(left.pixels)):
            self.column.addcmul_(left.pixels[row], right.pixels[row])
            top = row - self.window + 1
            if top < 0:
                continue
            if top > 0:
                old = top - 1
                self.column.addcmul_(left.pixels[old], right.pixels[old], value=-1)
            covariance = self._slide().addcmul_(left.sums[top], right.sums[top], value=-1)
            torch.mul(left.level[top], right.level[top], out=self.ratio)
            self.ratio.add_(C1 * self.window**4)
            torch.add(left.bright[top], right.bright[top], out=self.scale)
            self.ratio.div_(self.scale)
            torch.add(left.rough[top], right.rough[top], out=self.scale)
            self.ratio.div_(self.scale)
            # The constant C2 of the covariance's factor is added to the sum, not to every window.
            total += _constant(self.window) * self.ratio.sum(1)
            total += 2 * self.ratio.mul_(covariance).sum(1)
        return (total / (len(left.level) * self.inside)).float()

    def _slide(self) -> Tensor:
        """Sum every window of the row, from sums of 1, 2, 4 and 8 neighbours.

        7 = 4 + 2 + 1: four additions instead of six.
        """
        parts, length, size = [self.column], self.column.shape[1], 1
        for buffer in self.doubled:
            length -= size
            part = parts[-1]
            parts.append(torch.add(part[:, :length], part[:, size:], out=buffer[:, :length]))
            size *= 2
        pieces, start = [], 0
        for part in reversed(parts):
            if self.window & size:
                pieces.append(part[:, start : start + self.inside])
                start += size
            size //= 2
        torch.add(pieces[0], pieces[1], out=self.sums)
        for piece in pieces[2:]:
            self.sums.add_(piece)
        return self.sums


def _constant(window: int) -> float:
    """C2 in the scale of covariances here, area * (area - 1) times the sample's."""
    return C2 * window**2 * (window**2 - 1)


def _slide(values: Tensor, window: int, dim: int) -> Tensor:
    """Sum over every window along one dimension that lies inside it."""
    length = values.shape[dim] - window + 1
    result = values.narrow(dim, 0, length).clone()
    for shift in range(1, window):
        result += values.narrow(dim, shift, length)
    return result
