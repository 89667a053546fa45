"""Correlation of images after a small shift: a copy that moved by a pixel is still a copy."""

from __future__ import annotations

import math
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
    """Standardise images, averaged down to at most 64 pixels a side: unit norm, float32 (N, D)."""
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
    allowed = _allowed(exclude, len(references))
    count = max(k, min(CANDIDATES, allowed))
    found = [
        nearest(left, right, count, exclude, device=device)[1]
        for left, right in ((queries, references), (coarse(queries), coarse(references)))
    ]
    candidates = np.concatenate(found, axis=1)
    distance = np.empty(candidates.shape)
    shift = min(shift, (_side(queries) - 1) // 2)
    norms = _window_norms(references, shift)
    for start in range(0, len(queries), _CHUNK):
        rows = slice(start, start + _CHUNK)
        part = candidates[rows]
        distance[rows] = _aligned(queries[rows], references[part], norms[part], shift, device)
    return _first(distance, candidates, k)


def _allowed(exclude: Exclusion | None, m: int) -> int:
    """Count the references that every query may be compared with, at the least."""
    if exclude is None:
        return m
    left, right = exclude.codes()
    counts = np.bincount(right, minlength=int(max(left.max(initial=0), right.max(initial=0))) + 1)
    own = int(counts[left].max(initial=0))
    return m - own


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


def _aligned(
    queries: Vectors, candidates: Any, norms: NDArray[np.float32], shift: int, device: str
) -> Distances:
    """Distance of each query to its candidates at the best shift.

    Args:
        queries: Shape (b, D).
        candidates: Shape (b, c, D).
        norms: Of the windows of each candidate, shape (b, c, shifts).
        shift: Largest shift.
        device: Where the product runs.

    Returns:
        Shape (b, c).
    """
    side, moves = _side(queries), range(2 * shift + 1)
    inner = side - 2 * shift
    images = torch.from_numpy(queries).to(device).view(-1, side, side)
    middle = images[:, shift : shift + inner, shift : shift + inner].flatten(1)
    middle = _unit(middle - middle.mean(1, keepdim=True)).view(-1, inner, inner)
    # One product with the middle laid over every place is faster than cutting every window out.
    laid = torch.zeros((len(queries), len(moves) ** 2, side, side), device=device)
    for row in moves:
        for column in moves:
            place = laid[:, row * len(moves) + column]
            place[:, row : row + inner, column : column + inner] = middle
    others = torch.from_numpy(candidates).to(device)
    # The middle has mean 0: the mean of the window falls out of the product.
    product = torch.bmm(others, laid.flatten(2).transpose(1, 2))
    norm = torch.from_numpy(norms).to(device)
    ncc = torch.where(norm > _FLAT, product / norm.clamp_min(_FLAT), 0.0)
    best = ncc.amax(dim=2).double().clamp(-1, 1)
    return np.asarray((2 - 2 * best).sqrt().cpu().numpy())


def _window_norms(vectors: Vectors, shift: int) -> NDArray[np.float32]:
    """Norm of every window of an image about its own mean, shape (n, (2 shift + 1)^2)."""
    side = _side(vectors)
    inner = side - 2 * shift
    norms = np.empty((len(vectors), (2 * shift + 1) ** 2), np.float32)
    for start in range(0, len(vectors), _CHUNK):
        images = torch.from_numpy(vectors[start : start + _CHUNK]).double().view(-1, side, side)
        total, square = (_window_sums(values, inner) for values in (images, images**2))
        spread = (square - total.square() / inner**2).clamp_min(0).sqrt()
        norms[start : start + _CHUNK] = spread.flatten(1).numpy()
    return norms


def _window_sums(images: torch.Tensor, inner: int) -> torch.Tensor:
    """Sum of every window of side `inner`, shape (n, places, places), from a summed-area table."""
    places = images.shape[-1] - inner + 1
    table = F.pad(images.cumsum(-1).cumsum(-2), (1, 0, 1, 0))
    rows = table[:, inner:] - table[:, :places]
    return rows[:, :, inner:] - rows[:, :, :places]


def _unit(rows: torch.Tensor) -> torch.Tensor:
    norm = rows.norm(dim=1, keepdim=True)
    return torch.where(norm > _FLAT, rows / norm.clamp_min(_FLAT), 0.0)


def _side(vectors: Vectors) -> int:
    return math.isqrt(vectors.shape[1])
