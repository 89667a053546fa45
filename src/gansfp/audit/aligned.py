"""Correlation of images after a small shift: a copy that moved by a pixel is still a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.features.neighbours import Exclusion, nearest
from gansfp.features.representations import NCC

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Distances = NDArray[np.float64]
    Indices = NDArray[np.int64]

SIDE = 64
"""Images are averaged down to at most this side first."""

COARSE = 16
CANDIDATES = 8
"""Nearest images at either scale that are aligned; the others are too far to catch up."""

_CHUNK = 64
_FLAT = 1e-4
"""Norm below which a standardised window counts as one grey value, without direction."""


def fine(images: NDArray[np.uint8]) -> Vectors:
    """Standardise images of at most 64 pixels a side: float32, unit norm, shape (N, side * side)."""
    return NCC(min(SIDE, *images.shape[1:])).encode(images)


def coarse(vectors: Vectors) -> Vectors:
    """Average what `fine` returns down to 16 x 16 and standardise again: shape (N, 256)."""
    side = _side(vectors)
    if side <= COARSE:
        return vectors
    small = F.adaptive_avg_pool2d(torch.from_numpy(vectors).view(-1, 1, side, side), COARSE)
    flat = small.flatten(1)
    flat = flat - flat.mean(1, keepdim=True)
    norm = flat.norm(dim=1, keepdim=True)
    return np.asarray(torch.where(norm > _FLAT, flat / norm.clamp_min(_FLAT), 0.0).numpy())


def aligned_neighbours(
    queries: Vectors,
    references: Vectors,
    k: int,
    exclude: Exclusion | None = None,
    shift: int = 2,
    device: str = "cpu",
) -> tuple[Distances, Indices]:
    """Find the k references that are nearest after the best shift.

    The eight nearest references at full size and the eight nearest at 16 x 16 are candidates. Of
    each, every window that is `shift` pixels off the middle or less, in both directions, is
    compared with the middle of the query: sqrt(2 - 2 r), r their correlation.

    Args:
        queries: From `fine`, shape (n, D).
        references: From `fine`, shape (m, D).
        k: Number of neighbours, at most 8.
        exclude: Pairs to skip.
        shift: Largest shift in pixels.
        device: Where the products run.

    Returns:
        Distances, float64, shape (n, k), ascending; and reference indices, shape (n, k).
    """
    allowed = _allowed(exclude, len(queries), len(references))
    count = max(k, min(CANDIDATES, allowed))
    found = [
        nearest(left, right, count, exclude, device=device)[1]
        for left, right in ((queries, references), (coarse(queries), coarse(references)))
    ]
    candidates = np.concatenate(found, axis=1)
    distance = np.empty(candidates.shape)
    for start in range(0, len(queries), _CHUNK):
        rows = slice(start, start + _CHUNK)
        distance[rows] = _aligned(queries[rows], references[candidates[rows]], shift, device)
    return _first(distance, candidates, k)


def _allowed(exclude: Exclusion | None, n: int, m: int) -> int:
    """Count the references that every query may be compared with, at the least."""
    if exclude is None:
        return m
    left, right = exclude.codes()
    counts = np.bincount(right, minlength=int(max(left.max(initial=0), right.max(initial=0))) + 1)
    return int(m - counts[left].max(initial=0)) if n else m


def _first(distance: Distances, index: Indices, k: int) -> tuple[Distances, Indices]:
    """Keep the k smallest of each row; a reference that was proposed twice counts once."""
    by_index = np.argsort(index, axis=1, kind="stable")
    sorted_index = np.take_along_axis(index, by_index, 1)
    again = np.zeros(index.shape, dtype=bool)
    repeated = np.zeros(index.shape, dtype=bool)
    repeated[:, 1:] = sorted_index[:, 1:] == sorted_index[:, :-1]
    np.put_along_axis(again, by_index, repeated, 1)
    distance = np.where(again, np.inf, distance)
    order = np.lexsort((index, distance), axis=1)[:, :k]
    return np.take_along_axis(distance, order, 1), np.take_along_axis(index, order, 1)


def _aligned(queries: Vectors, candidates: Any, shift: int, device: str) -> Distances:
    """Distance of each query (b, D) to its candidates (b, c, D) at the best shift, shape (b, c)."""
    side = _side(queries)
    shift = min(shift, (side - 1) // 2)
    inner = side - 2 * shift
    middle = torch.from_numpy(queries).to(device).view(-1, side, side)
    middle = middle[:, shift : shift + inner, shift : shift + inner].double().flatten(1)
    middle = _unit(middle - middle.mean(1, keepdim=True))
    images = torch.from_numpy(candidates).to(device).view(*candidates.shape[:2], side, side)
    best = torch.full(candidates.shape[:2], -1.0, dtype=torch.float64, device=device)
    total, square = _window_sums(images.double(), inner)
    for row in range(2 * shift + 1):
        for column in range(2 * shift + 1):
            window = images[:, :, row : row + inner, column : column + inner].flatten(2)
            # The middle has mean 0: that of the window falls out of the product.
            product = torch.einsum("bd,bcd->bc", middle.float(), window).double()
            spread = square[:, :, row, column] - total[:, :, row, column].square() / inner**2
            norm = spread.clamp_min(0).sqrt()
            ncc = torch.where(norm > _FLAT, product / norm.clamp_min(_FLAT), 0.0)
            best = torch.maximum(best, ncc)
    return np.asarray((2 - 2 * best.clamp(-1, 1)).clamp_min(0).sqrt().cpu().numpy())


def _window_sums(images: torch.Tensor, inner: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum and sum of squares of every window, each (b, c, 2 shift + 1, 2 shift + 1)."""
    sums = [F.avg_pool2d(values, inner, stride=1) * inner**2 for values in (images, images**2)]
    return sums[0], sums[1]


def _unit(rows: torch.Tensor) -> torch.Tensor:
    norm = rows.norm(dim=1, keepdim=True)
    return torch.where(norm > _FLAT, rows / norm.clamp_min(_FLAT), 0.0)


def _side(vectors: Vectors) -> int:
    return round(vectors.shape[1] ** 0.5)
