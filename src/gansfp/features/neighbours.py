"""Exact nearest neighbours in bounded memory: the one search that every method uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gansfp.errors import UserError
from gansfp.features.precision import full_precision
from gansfp.features.selection import smallest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    Distances = NDArray[np.float64]
    Indices = NDArray[np.int64]

SPARE = 4
"""Candidates beyond k that the fp32 pass hands to the exact pass."""

_REFERENCE_ELEMENTS = 1 << 23
"""Values of a block of references: 32 MB in fp32."""

_QUERY_ELEMENTS = 1 << 26
"""Values of a block of queries, 256 MB: all references are centred anew for each of them."""

_PIECE_ELEMENTS = 1 << 16
"""Values of fp64 scratch: 0.5 MB stay in a core's cache."""

_WIDE_ROWS = 64
"""Queries that are searched again at a time."""


@dataclass(frozen=True)
class Exclusion:
    """Pairs that are no neighbours: those whose query key equals the reference key.

    Keys are patients, images, or anything else that `numpy.unique` sorts; an image's own row is
    excluded when both sides carry its key.

    Attributes:
        queries: Key of each query, shape (n,).
        references: Key of each reference, shape (m,).
    """

    queries: NDArray[Any]
    references: NDArray[Any]

    def codes(self) -> tuple[Indices, Indices]:
        """Number the keys, the same key by the same number on both sides."""
        keys = np.concatenate([np.asarray(self.queries), np.asarray(self.references)])
        codes = np.unique(keys, return_inverse=True)[1].astype(np.int64)
        return codes[: len(self.queries)], codes[len(self.queries) :]


def nearest(
    queries: NDArray[Any],
    references: NDArray[Any],
    k: int,
    exclude: Exclusion | None = None,
    chunk: int | None = None,
    device: str | torch.device = "cpu",
) -> tuple[Distances, Indices]:
    """Find the k Euclidean nearest references of each query.

    A fp32 matrix product on features centred at the references' mean proposes the k + 4 nearest
    candidates. The distances of those that rounding leaves in question are then computed in fp64
    from differences, which neither a large mean nor near duplicates can spoil. Queries for which
    rounding could have kept a neighbour out of the candidates (an error bound says so) are searched
    again with all references inside the bound. The result is therefore that of a fp64 search, bit
    for bit the same for any chunk size and device; equal distances are ordered by reference index.

    Args:
        queries: Shape (n, D), any real dtype.
        references: Shape (m, D).
        k: Number of neighbours.
        exclude: Pairs to skip.
        chunk: Rows of queries, and of references, that are held in memory at a time; None: chosen
            from D so that a block of queries takes up to 256 MB.
        device: Where the fp32 product runs.

    Returns:
        Distances, float64, shape (n, k), ascending; and reference indices, int64, shape (n, k).

    Raises:
        UserError: A query has fewer than k admissible references.
        ValueError: Shapes do not fit.
    """
    _check_shapes(queries, references, k)
    codes = exclude.codes() if exclude is not None else None
    _check_enough(k, len(queries), len(references), codes)
    dim = max(queries.shape[1], 1)
    block = chunk or max(64, min(4096, _QUERY_ELEMENTS // dim))
    chunk = chunk or max(64, min(4096, _REFERENCE_ELEMENTS // dim))
    search = Search(queries, references, codes, chunk, torch.device(device))
    distance = np.empty((len(queries), k))
    index = np.empty((len(queries), k), dtype=np.int64)
    with full_precision():
        for start in range(0, len(queries), block):
            rows = np.arange(start, min(start + block, len(queries)))
            squared, index[rows] = search.block(rows, k)
            distance[rows] = np.sqrt(squared)
    return distance, index


class Search:
    """The two passes, for one pair of sets."""

    def __init__(
        self,
        queries: NDArray[Any],
        references: NDArray[Any],
        codes: tuple[Indices, Indices] | None,
        chunk: int,
        device: torch.device,
        centre: NDArray[np.float64] | None = None,
    ) -> None:
        self.queries, self.references, self.codes = queries, references, codes
        self.chunk, self.device = chunk, device
        # What fp32 can hold: one fp32 subtraction then centres fp32 features as fp64 would.
        self.centre = (mean_of(references) if centre is None else centre).astype(np.float32)
        # Rounding of the inputs to fp32 and of a D-term product, with a margin.
        self.epsilon = float(np.finfo(np.float32).eps) * (8 + np.sqrt(queries.shape[1]))

    def block(self, rows: Indices, k: int) -> tuple[Distances, Indices]:
        """Search for a block of queries: squared distances and indices, shape (rows, k)."""
        query = self.centred(self.queries[rows])
        width = min(k + SPARE, len(self.references))
        rough, candidates = self._propose(query, rows, width)
        return self.settle(norms(query), rows, rough, candidates, k)

    def settle(
        self, norm: Distances, rows: Indices, rough: Distances, candidates: Indices, k: int
    ) -> tuple[Distances, Indices]:
        """Turn proposals of the fp32 pass into the exact k nearest.

        Args:
            norm: Of the centred queries, shape (n,).
            rows: Their rows, shape (n,).
            rough: The smallest fp32 squared distances of each, ascending, shape (n, width).
            candidates: Their references, shape (n, width).
            k: At most `width`.

        Returns:
            Squared distances and indices, shape (n, k).
        """
        width = rough.shape[1]
        exact = self._exact_where(rough, candidates, rows, self._in_question(norm, rough, k))
        squared, index = _order(exact, candidates, k)
        if width < len(self.references):
            radius = squared[:, -1] + self.bound(norm, squared[:, -1])
            short = np.flatnonzero(rough[:, -1] <= radius)
            for start in range(0, len(short), _WIDE_ROWS):
                part = short[start : start + _WIDE_ROWS]
                query = self.centred(self.queries[rows[part]])
                wide = self._widen(query, rows[part], radius[part], k)
                squared[part], index[part] = wide
        return squared, index

    def _in_question(self, norm: Distances, rough: Distances, k: int) -> NDArray[np.bool_]:
        """Mark the candidates that may be among the k nearest, rounding considered.

        With e the error bound at the k-th rough value r, the k-th exact one is at most r + 2e, and
        whatever is as near has a rough value of at most r + 4e. `bound` is 2e.
        """
        last = rough[:, k - 1]
        return np.asarray(rough <= (last + 2 * self.bound(norm, last))[:, None])

    def _exact_where(
        self, rough: Distances, candidates: Indices, rows: Indices, wanted: NDArray[np.bool_]
    ) -> Distances:
        """Squared distances of the wanted candidates, infinite elsewhere, shape as `rough`."""
        exact = np.full(rough.shape, np.inf)
        row, column = np.nonzero(wanted & np.isfinite(rough))
        exact[row, column] = self.exact(rows[row], candidates[row, column])
        return exact

    def _propose(self, query: Tensor, rows: Indices, width: int) -> tuple[Distances, Indices]:
        best = torch.full((len(rows), width), torch.inf, device=self.device)
        where = torch.zeros((len(rows), width), dtype=torch.int64, device=self.device)
        for start, rough in self._rough(query, rows):
            values, columns = smallest(rough, min(width, rough.shape[1]))
            values = torch.cat([best, values], dim=1)
            columns = torch.cat([where, columns + start], dim=1)
            best, order = values.topk(width, largest=False)
            where = columns.gather(1, order)
        return best.cpu().double().numpy(), where.cpu().numpy()

    def _rough(self, query: Tensor, rows: Indices) -> Iterator[tuple[int, Tensor]]:
        """Yield fp32 squared distances to one chunk of references after another."""
        left = left_side(query)
        for start in range(0, len(self.references), self.chunk):
            reference = self.centred(self.references[start : start + self.chunk])
            rough = rough_squared(left, right_side(reference))
            if self.codes is not None:
                mine = torch.from_numpy(self.codes[0][rows]).to(self.device)
                their = torch.from_numpy(self.codes[1][start : start + self.chunk])
                rough.masked_fill_(mine[:, None] == their.to(self.device), torch.inf)
            yield start, rough

    def _widen(
        self, query: Tensor, rows: Indices, radius: Distances, k: int
    ) -> tuple[Distances, Indices]:
        """Search some queries again among all references inside their error bounds."""
        limit = torch.from_numpy(radius).to(self.device)[:, None]
        found = [
            np.stack([row, start + column])
            for start, rough in self._rough(query, rows)
            for row, column in [(rough.double() <= limit).cpu().numpy().nonzero()]
        ]
        row, index = np.concatenate(found, axis=1)
        squared = self.exact(rows[row], index)
        order = np.lexsort((index, squared, row))
        first = np.searchsorted(row[order], np.arange(len(rows)))
        nearest = order[first[:, None] + np.arange(k)]
        return squared[nearest], index[nearest]

    def bound(self, norm: Distances, squared: Distances) -> Distances:
        """Bound the fp32 error of every distance that could be below `squared`, doubled.

        Such a reference has a norm of at most |q| + d. The error counts twice: `_widen` compares
        fp32 values, which err themselves, with a radius.
        """
        distance = np.sqrt(np.maximum(squared, 0))  # rounding makes rough values negative
        bound: Distances = 2 * self.epsilon * (2 * norm + distance) ** 2
        return bound

    def exact(self, left: Indices, right: Indices) -> Distances:
        """Squared distances of (query, reference) pairs in fp64, shape (pairs,)."""
        result = np.empty(len(left))
        step = max(1, _PIECE_ELEMENTS // max(self.queries.shape[1], 1))
        for start in range(0, len(left), step):
            part = slice(start, start + step)
            difference = self.queries[left[part]].astype(np.float64)
            difference -= self.references[right[part]]
            result[part] = np.einsum("ij,ij->i", difference, difference)
        return result

    def centred(self, rows: NDArray[Any]) -> Tensor:
        """Subtract the centre and round to fp32 once, in pieces that stay in the cache."""
        if rows.dtype == np.float32:
            return torch.from_numpy(rows - self.centre).to(self.device)
        centred = np.empty(rows.shape, np.float32)
        step = max(1, _PIECE_ELEMENTS // max(rows.shape[1], 1))
        for start in range(0, len(rows), step):
            piece = rows[start : start + step].astype(np.float64)
            piece -= self.centre
            centred[start : start + step] = piece
        return torch.from_numpy(centred).to(self.device)


def left_side(rows: Tensor) -> Tensor:
    """Prepare centred vectors for the left of `rough_squared`, shape (n, D + 2).

    |x - y|^2 = (-2 x, |x|^2, 1) . (y, 1, |y|^2): as two more features the norms cost no pass over
    the result.
    """
    squared = _squared_norm(rows)[:, None]
    return torch.cat([rows * -2, squared, torch.ones_like(squared)], dim=1)


def right_side(rows: Tensor) -> Tensor:
    """Prepare centred vectors for the right of `rough_squared`, shape (m, D + 2)."""
    squared = _squared_norm(rows)[:, None]
    return torch.cat([rows, torch.ones_like(squared), squared], dim=1)


def rough_squared(left: Tensor, right: Tensor, out: Tensor | None = None) -> Tensor:
    """Squared distances of all pairs by one matrix product, shape (n, m); rounding shows.

    Args:
        left: From `left_side`, shape (n, D + 2).
        right: From `right_side`, shape (m, D + 2).
        out: Memory for the result, at least n * m values.
    """
    if out is None:
        return left @ right.T
    return torch.mm(left, right.T, out=out[: len(left) * len(right)].view(len(left), len(right)))


def norms(rows: Tensor) -> Distances:
    """Norm of each vector, float64 on the CPU."""
    return np.asarray(torch.linalg.vector_norm(rows, dim=1).cpu().double().numpy())


def _squared_norm(rows: Tensor) -> Tensor:
    norm = rows.square().sum(1)
    if not torch.isfinite(norm).all():
        raise ValueError("features hold values that are not finite, or too large to square")
    return norm


def _order(squared: Distances, index: Indices, k: int) -> tuple[Distances, Indices]:
    """Sort each row by distance, then by index, and keep k."""
    order = np.lexsort((index, squared), axis=1)[:, :k]
    return np.take_along_axis(squared, order, 1), np.take_along_axis(index, order, 1)


def mean_of(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Average in fp64, shape (D,)."""
    step = max(1, _PIECE_ELEMENTS // max(rows.shape[1], 1))
    total = np.zeros(rows.shape[1])
    for start in range(0, len(rows), step):
        total += rows[start : start + step].sum(axis=0, dtype=np.float64)
    return total / len(rows)


def _check_shapes(queries: NDArray[Any], references: NDArray[Any], k: int) -> None:
    if queries.ndim != 2 or references.ndim != 2 or queries.shape[1] != references.shape[1]:
        raise ValueError(f"shapes {queries.shape} and {references.shape}: expected (n, D), (m, D)")
    if k < 1:
        raise UserError(f"k={k}: at least one neighbour is needed")


def _check_enough(k: int, n: int, m: int, codes: tuple[Indices, Indices] | None) -> None:
    available = np.full(n, m)
    if codes is not None:
        counts = np.bincount(codes[1], minlength=int(codes[0].max(initial=0)) + 1)
        available = available - counts[codes[0]]
    short = np.flatnonzero(available < k)
    if len(short):
        raise UserError(
            f"k={k} neighbours asked for, but {len(short)} of {n} images have fewer, at the least "
            f"{int(available.min())} of {m} after leaving out their own group: lower k"
        )
