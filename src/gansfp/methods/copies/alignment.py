"""Which images are most alike once one of them is moved, and by how much it is moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gansfp.errors import UserError
from gansfp.methods.patches.windows import standardised

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Grey = NDArray[np.float32]
    Rows = NDArray[np.int64]

_BLOCK = 2048


@dataclass(frozen=True)
class Aligned:
    """The other images most alike to each query.

    Attributes:
        index: Which ones, most alike first, shape (n, keep).
        row: Rows that each is moved by, up to `shift` either way, shape (n, keep).
        column: Columns, likewise.
        correlation: Of the aligned windows, shape (n, keep); minus infinity where only images of
            the query's own patient are left.
    """

    index: Rows
    row: Rows
    column: Rows
    correlation: NDArray[np.float32]


def align(
    queries: Grey,
    others: Grey,
    shift: int,
    keep: int,
    keys: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> Aligned:
    """Find, for each query, the others that correlate best with it under their best shift.

    The middle of a query, `shift` pixels short of every edge, is compared with windows of another
    image at all whole shifts; all pairs are, exactly.

    Args:
        queries: In [0, 1], shape (n, H, W).
        others: Shape (m, H, W).
        shift: Largest shift, pixels along each axis.
        keep: Others of each query, at most those there are.
        keys: Patients of queries and others; equal ones are not compared.

    Raises:
        UserError: The images are too small for the shift.
    """
    height, width = queries.shape[1:]
    if min(height, width) <= 2 * shift:
        raise UserError(f"method.shift={shift}: images have {min(height, width)} pixels a side")
    side = (height - 2 * shift, width - 2 * shift)
    x = torch.from_numpy(_windows(queries, shift, shift, side))
    parts = []
    for start in range(0, len(others), _BLOCK):
        block = others[start : start + _BLOCK]
        parts.append(_best_moves(x, block, shift, side))
    best = np.concatenate([part[0] for part in parts], axis=1)
    move = np.concatenate([part[1] for part in parts], axis=1)
    if keys is not None:
        best[np.asarray(keys[0])[:, None] == keys[1]] = -np.inf
    keep = min(keep, best.shape[1])
    index = np.argsort(-best, axis=1, kind="stable")[:, :keep]
    found = np.take_along_axis(best, index, axis=1)
    moved = np.take_along_axis(move, index, axis=1).astype(np.int64)
    row, column = np.divmod(moved, 2 * shift + 1)
    return Aligned(index, row - shift, column - shift, found)


def middles(images: Grey, shift: int) -> Grey:
    """Cut off `shift` pixels at every edge: shape (n, H - 2 shift, W - 2 shift)."""
    height, width = images.shape[1:]
    return images[:, shift : height - shift, shift : width - shift]


def moved_windows(images: Grey, row: Rows, column: Rows, shift: int) -> Grey:
    """Cut the window out of each image that is moved by its own row and column.

    Args:
        images: Shape (n, H, W).
        row: From -shift to shift, shape (n,).
        column: Likewise.
        shift: Largest shift.

    Returns:
        Shape (n, H - 2 shift, W - 2 shift).
    """
    height, width = images.shape[1:]
    rows = shift + row[:, None] + np.arange(height - 2 * shift)
    columns = shift + column[:, None] + np.arange(width - 2 * shift)
    number = np.arange(len(images))[:, None, None]
    return images[number, rows[:, :, None], columns[:, None, :]]


def _best_moves(
    x: torch.Tensor, block: Grey, shift: int, side: tuple[int, int]
) -> tuple[Grey, NDArray[np.int16]]:
    """Correlate with all moves of a block: the best, and its number, each of shape (n, b)."""
    best = torch.full((len(x), len(block)), -torch.inf)
    move = torch.zeros((len(x), len(block)), dtype=torch.int16)
    width = 2 * shift + 1
    for number in range(width**2):
        row, column = divmod(number, width)
        found = x @ torch.from_numpy(_windows(block, row, column, side)).T
        better = found > best
        best = torch.where(better, found, best)
        move = torch.where(better, torch.tensor(number, dtype=torch.int16), move)
    return best.numpy(), move.numpy()


def _windows(images: Grey, row: int, column: int, side: tuple[int, int]) -> Grey:
    height, width = side
    if height == width:
        return standardised(images, row, column, height)
    raise UserError(f"method: copies compares square images, not {height} x {width}")
