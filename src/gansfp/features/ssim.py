"""Mean structural similarity of every image of one set to every image of another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

_TILE = {"cpu": 1 << 15, "cuda": 1 << 23}
"""(pair, column) combinations that are worked on at a time: on a CPU seven buffers of 128 KB stay
near the core, and no operation is long enough for torch to share it between threads; on a GPU the
kernels are long enough to hide their start."""

_BLOCK = {"cpu": 1 << 23, "cuda": 1 << 25}
"""Pixels of each side whose window statistics are held: 4 floats a pixel."""

_COLUMNS = 64
"""Right images of a tile: the innermost loop runs over them."""


def ssim_matrix(
    left: NDArray[np.uint8],
    right: NDArray[np.uint8],
    window: int = 7,
    device: str | torch.device = "cpu",
    tile: int | None = None,
    block: int | None = None,
) -> NDArray[np.float32]:
    """Compute the mean structural similarity of all pairs.

    Wang et al. (IEEE TIP 2004) with a uniform window, K1 = 0.01, K2 = 0.03, data range 255, sample
    covariance, over the windows that lie inside the image: the defaults of
    `skimage.metrics.structural_similarity(x, y, data_range=255)`.

    Means and variances are computed once an image and block; a pair costs the window sums of its
    product alone, which move down the rows by one addition and one subtraction. These sums are
    whole numbers below 2^24, so fp32 holds them exactly; sum xy - sum x (sum y / area) is 0 for
    flat windows, and rounds no more than the variance allows for others.

    Args:
        left: Grey images, shape (n, H, W).
        right: Grey images, shape (m, H, W).
        window: Side of the window, odd, 3 to 15.
        device: Where the pairs are worked on.
        tile: Pairs times columns held at a time; None: what suits the device.
        block: Pixels of each side prepared at a time; None: what suits the device.

    Returns:
        Similarities from -1 to 1, shape (n, m).

    Raises:
        UserError: The window is even, or larger than the images or 15 pixels.
        ValueError: Images are no grey bytes of one shape.
    """
    _check(left, right, window)
    where = torch.device(device)
    images = max(1, (block or _BLOCK[where.type]) // left[0].size) if len(left) else 1
    rows, columns = _tile_shape((tile or _TILE[where.type]) // left.shape[2])
    result = np.empty((len(left), len(right)), np.float32)
    with torch.inference_mode():
        for top in range(0, len(left), images):
            mine = _Side.of(left[top : top + images], window, where, left=True)
            for start in range(0, len(right), images):
                yours = _Side.of(right[start : start + images], window, where, left=False)
                found = _block(mine, yours, (rows, columns), window)
                result[top : top + images, start : start + images] = found.cpu().numpy()
    return result


@dataclass(frozen=True)
class _Side:
    """The images of one side and the statistics of their windows, fp32.

    Each has the shape (rows, images, columns, 1) on the left and (rows, 1, columns, images) on the
    right, so that a row of one broadcasts with a row of the other to (left, columns, right).

    Attributes:
        pixels: Grey levels.
        level: Mean of each window; on the left twice that.
        bright: Square of the mean; on the left plus C1.
        rough: Sample variance times `_half`; on the left plus C2 times `_half`.
    """

    pixels: Tensor
    level: Tensor
    bright: Tensor
    rough: Tensor

    @classmethod
    def of(
        cls, images: NDArray[np.uint8], window: int, device: torch.device, *, left: bool
    ) -> _Side:
        grey = torch.from_numpy(np.array(images)).to(device).transpose(0, 1)
        grey = grey.float() if left else grey.transpose(1, 2).contiguous().float()
        along = 2 if left else 1
        sums = _slide(_slide(grey, window, 0), window, along)
        rough = _slide(_slide(grey.square(), window, 0), window, along)
        level = sums / window**2
        rough.addcmul_(sums, level, value=-1).mul_(_half(window) / (window**2 - 1))
        bright = level.square()
        if left:
            level, bright, rough = 2 * level, bright + _C1, rough + _half(window) * _C2
        return cls(*(part.unsqueeze(3 if left else 1) for part in (grey, level, bright, rough)))

    def images(self, part: slice, *, left: bool) -> _Side:
        """Take some of the images."""
        where = (slice(None), part) if left else (Ellipsis, part)
        return _Side(self.pixels[where], self.level[where], self.bright[where], self.rough[where])


def _block(left: _Side, right: _Side, tile: tuple[int, int], window: int) -> Tensor:
    """Compare all images of two sides, tile by tile; each CPU thread works on tiles of its own.

    A tile's operations are too short to be shared between threads.
    """
    n, m = left.pixels.shape[1], right.pixels.shape[3]
    result = torch.empty((n, m), device=left.pixels.device)
    buffers = threading.local()

    def work(corner: tuple[int, int]) -> None:
        mine, yours = (slice(at, at + side) for at, side in zip(corner, tile, strict=True))
        shape = tuple(result[mine, yours].shape)
        with torch.inference_mode():
            pair = left.images(mine, left=True), right.images(yours, left=False)
            if getattr(buffers, "shape", None) != shape:
                buffers.shape, buffers.space = shape, _Space(*pair, window)
            result[mine, yours] = buffers.space.similarity(*pair)

    corners = [(top, start) for start in range(0, m, tile[1]) for top in range(0, n, tile[0])]
    threads = torch.get_num_threads() if result.device.type == "cpu" else 1
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, corners))
    return result


class _Space:
    """The buffers of a tile of pairs, and the work on it, row of windows after row."""

    def __init__(self, left: _Side, right: _Side, window: int) -> None:
        self.window = window
        n, (width, m) = left.pixels.shape[1], right.pixels.shape[2:]
        self.inside = width - window + 1
        full = [left.pixels.new_empty((n, width, m)) for _ in range(window.bit_length())]
        self.column, self.doubled = full[0], full[1:]
        self.sums, self.ratio, self.scale = (
            left.pixels.new_empty((n, self.inside, m)) for _ in range(3)
        )

    def similarity(self, left: _Side, right: _Side) -> Tensor:
        """Mean SSIM of each pair, shape (left, right)."""
        n, m = self.sums.shape[0], self.sums.shape[2]
        total = self.sums.new_zeros((n, m), dtype=torch.float64)
        self.column.zero_()
        for row in range(len(left.pixels)):
            self.column.addcmul_(left.pixels[row], right.pixels[row])
            top = row - self.window + 1
            if top < 0:
                continue
            if top > 0:
                old = top - 1
                self.column.addcmul_(left.pixels[old], right.pixels[old], value=-1)
            covariance = self._slide()
            level = left.level[top], right.level[top]
            covariance.addcmul_(*level, value=-(self.window**2) / 2)
            torch.mul(*level, out=self.ratio)
            self.ratio.add_(_C1)
            torch.add(left.bright[top], right.bright[top], out=self.scale)
            self.ratio.div_(self.scale)
            torch.add(left.rough[top], right.rough[top], out=self.scale)
            self.ratio.div_(self.scale)
            # The constant C2 of the covariance's factor is added to the sum, not to every window.
            total += _half(self.window) * _C2 * self.ratio.sum(1)
            total += covariance.mul_(self.ratio).sum(1)
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


def _half(window: int) -> float:
    """What twice the sample covariance is smaller than sum xy - sum x sum y / area."""
    return (window**2 - 1) / 2


def _tile_shape(pairs: int) -> tuple[int, int]:
    """Choose rows and columns of a tile; many columns, since the innermost loop runs over them."""
    columns = max(1, min(_COLUMNS, pairs))
    return max(1, pairs // columns), columns


def _slide(values: Tensor, window: int, dim: int) -> Tensor:
    """Sum over every window along one dimension that lies inside it."""
    length = values.shape[dim] - window + 1
    result = values.narrow(dim, 0, length).clone()
    for shift in range(1, window):
        result += values.narrow(dim, shift, length)
    return result


def _check(left: NDArray[Any], right: NDArray[Any], window: int) -> None:
    if left.ndim != 3 or left.shape[1:] != right.shape[1:] or right.ndim != 3:
        raise ValueError(f"shapes {left.shape} and {right.shape}: expected (n, H, W), (m, H, W)")
    if left.dtype != np.uint8 or right.dtype != np.uint8:
        raise ValueError(f"dtypes {left.dtype} and {right.dtype}: expected uint8")
    largest = min(15, *left.shape[1:])
    if window % 2 == 0 or not 3 <= window <= largest:
        raise UserError(f"window={window}: must be odd, from 3 to {largest} for these images")
