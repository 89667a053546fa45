"""Nearest neighbours in both directions, and counts within a radius, in one pass over distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gansfp.features.neighbours import (
    SPARE,
    Search,
    left_side,
    mean_of,
    norms,
    right_side,
    rough_squared,
)
from gansfp.features.precision import full_precision
from gansfp.features.selection import at_most, smallest, smallest_of_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Distances = NDArray[np.float64]
    Indices = NDArray[np.int64]

_ROWS, _COLUMNS = 4096, 16384
"""Left and right vectors in a block of distances: 256 MB in fp32."""

_SETTLED = 4096
"""Vectors whose proposals are settled in fp64 at a time."""


@dataclass(frozen=True)
class Mutual:
    """What one pass over the distances of two sets tells.

    Attributes:
        distance: To the k nearest right vectors of each left one, float64, shape (n, k).
        index: Which these are, int64, shape (n, k).
        back_distance: To the nearest left vectors of each right one, shape (m, k_back).
        back_index: Which these are, shape (m, k_back).
        inside: Right vectors nearer than the radius, of each left one, shape (n,); None without
            a radius.
        inside_log: Sum over these of log(radius / distance), shape (n,), if asked for; infinite
            where a right vector equals the left one.
    """

    distance: Distances
    index: Indices
    back_distance: Distances
    back_index: Indices
    inside: Indices | None = None
    inside_log: Distances | None = None


def mutual(
    left: NDArray[Any],
    right: NDArray[Any],
    k: int,
    k_back: int,
    radius: float | None = None,
    logs: bool = False,
    block: tuple[int, int] = (_ROWS, _COLUMNS),
    device: str | torch.device = "cpu",
) -> Mutual:
    """Search from left to right and from right to left, and count, with each distance made once.

    Exact in the sense of `gansfp.features.neighbours.nearest`: fp32 proposes, fp64 decides, and the
    result equals that of two searches, whatever the blocks. Counts too: pairs that rounding leaves
    in question are measured in fp64.

    Args:
        left: Shape (n, D).
        right: Shape (m, D).
        k: Neighbours of each left vector; at most m.
        k_back: Neighbours of each right vector; at most n.
        radius: Count the right vectors strictly nearer than this.
        logs: Also sum log(radius / distance) over them, which measures each in fp64.
        block: Left and right vectors whose distances are held at a time.
        device: Where the fp32 product runs.

    Raises:
        ValueError: Shapes do not fit, or there are fewer vectors than neighbours asked for.
    """
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[1]:
        raise ValueError(f"shapes {left.shape} and {right.shape}: expected (n, D), (m, D)")
    if not (1 <= k <= len(right) and 1 <= k_back <= len(left)):
        raise ValueError(f"k={k}, k_back={k_back}: there are {len(right)} and {len(left)} vectors")
    with full_precision():
        return _Pass(left, right, radius, logs, block, torch.device(device)).run(k, k_back)


class _Pass:
    """The pass over blocks: right vectors outside, left ones inside."""

    def __init__(
        self,
        left: NDArray[Any],
        right: NDArray[Any],
        radius: float | None,
        logs: bool,
        block: tuple[int, int],
        device: torch.device,
    ) -> None:
        # One centre for both: a block of products serves both directions.
        centre = mean_of(right)
        self.forth = Search(left, right, None, block[1], device, centre)
        self.back = Search(right, left, None, block[0], device, centre)
        self.rows, self.columns = block
        self.device, self.radius, self.logs = device, radius, logs
        self.inside = np.zeros(len(left), np.int64)
        self.inside_log = np.zeros(len(left))

    def run(self, k: int, k_back: int) -> Mutual:
        """Go through all blocks, then settle both directions."""
        n, m = len(self.forth.queries), len(self.back.queries)
        ahead = _Best(n, min(k + SPARE, m), self.device)
        behind = _Best(m, min(k_back + SPARE, n), self.device)
        # One buffer for all blocks: fresh memory of this size costs a third of a product.
        buffer = torch.empty(min(self.rows, n) * min(self.columns, m), device=self.device)
        starts = range(0, n, self.rows)
        lefts = [self.forth.centred(self.forth.queries[row : row + self.rows]) for row in starts]
        norm = np.concatenate([norms(left) for left in lefts])
        lefts = [left_side(left) for left in lefts]
        back_norm = np.empty(m)
        for column in range(0, m, self.columns):
            right = self.back.centred(self.back.queries[column : column + self.columns])
            back_norm[column : column + len(right)] = norms(right)
            right = right_side(right)
            for row, left in zip(starts, lefts, strict=True):
                rough = rough_squared(left, right, buffer)
                ahead.update(row, column, *smallest(rough, min(ahead.width, rough.shape[1])))
                width = min(behind.width, rough.shape[0])
                behind.update(column, row, *smallest_of_columns(rough, width))
                if self.radius is not None:
                    self._count(rough, norm[row : row + len(left)], row, column)
        distance, index = _settled(self.forth, norm, ahead, k)
        back_distance, back_index = _settled(self.back, back_norm, behind, k_back)
        inside = None if self.radius is None else self.inside
        inside_log = self.inside_log if self.logs and self.radius is not None else None
        return Mutual(distance, index, back_distance, back_index, inside, inside_log)

    def _count(self, rough: Tensor, norm: Distances, row: int, column: int) -> None:
        """Add the pairs of a block that are nearer than the radius."""
        assert self.radius is not None
        squared = self.radius**2
        slack = self.forth.bound(norm, np.full(len(norm), squared))
        limit = torch.from_numpy(squared + slack).to(self.device, torch.float32)
        near, far = at_most(rough, limit)
        value = rough[near, far].double().cpu().numpy()
        one, two = near.cpu().numpy(), far.cpu().numpy()
        unsure = value >= squared - slack[one]
        if self.logs:  # of fp64 distances, which small fp32 values are far from
            unsure[:] = True
        value[unsure] = self.forth.exact(one[unsure] + row, two[unsure] + column)
        # Of roots, as the radius may be one of the distances, whose square would round.
        kept = np.sqrt(np.maximum(value, 0)) < self.radius
        one, value = one[kept] + row, value[kept]
        n = len(self.inside)
        self.inside += np.bincount(one, minlength=n)
        if self.logs:
            with np.errstate(divide="ignore"):
                worth = np.log(self.radius) - 0.5 * np.log(value)
            self.inside_log += np.bincount(one, worth, minlength=n)


class _Best:
    """The smallest values of each vector so far, and where they were."""

    def __init__(self, n: int, width: int, device: torch.device) -> None:
        self.width = width
        self.value = torch.full((n, width), torch.inf, device=device)
        self.where = torch.zeros((n, width), dtype=torch.int64, device=device)

    def update(self, row: int, offset: int, value: Tensor, where: Tensor) -> None:
        """Merge what a block has for the vectors from `row` on; `where` counts from `offset`."""
        part = slice(row, row + len(value))
        value = torch.cat([self.value[part], value], dim=1)
        where = torch.cat([self.where[part], where + offset], dim=1)
        self.value[part], order = value.topk(self.width, largest=False)
        self.where[part] = where.gather(1, order)


def _settled(search: Search, norm: Distances, best: _Best, k: int) -> tuple[Distances, Indices]:
    """Decide all proposals of a direction in fp64."""
    n = len(search.queries)
    squared, index = np.empty((n, k)), np.empty((n, k), np.int64)
    for start in range(0, n, _SETTLED):
        rows = np.arange(start, min(start + _SETTLED, n))
        part = slice(start, start + _SETTLED)
        rough = best.value[part].cpu().double().numpy()
        where = best.where[part].cpu().numpy()
        squared[rows], index[rows] = search.settle(norm[part], rows, rough, where, k)
    return np.sqrt(squared), index
