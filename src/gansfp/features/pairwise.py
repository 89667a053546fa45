"""Similarity of every vector of one set to every vector of another: NCC, cosine, Jaccard.

All are exact, in bounded memory, and run the same code on a CPU and on a GPU. SSIM of images is in
`gansfp.features.ssim`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gansfp.features.precision import full_precision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    Matrix = NDArray[np.float32]
    Device = str | torch.device

_ROWS = 4096
"""Vectors of each side in a block of a matrix product."""


def ncc_matrix(left: NDArray[Any], right: NDArray[Any], device: Device = "cpu") -> Matrix:
    """Compute Pearson's correlation of all pairs of vectors.

    Args:
        left: Vectors or images, shape (n, ...).
        right: Vectors or images of the same shape, shape (m, ...).
        device: Where the product runs, in full fp32.

    Returns:
        Correlations from -1 to 1, shape (n, m); 0 where one side is constant.
    """
    return _products(left, right, device, centre=True)


def cosine_matrix(left: NDArray[Any], right: NDArray[Any], device: Device = "cpu") -> Matrix:
    """Compute the cosine of all pairs of vectors, shape (n, m); 0 where one side is 0."""
    return _products(left, right, device, centre=False)


def jaccard_matrix(left: NDArray[Any], right: NDArray[Any], device: Device = "cpu") -> Matrix:
    """Compute |A and B| / |A or B| of all pairs of sets.

    Args:
        left: Memberships, boolean, shape (n, ...).
        right: Memberships, boolean, shape (m, ...); fewer than 2^24 elements each.
        device: Where the counting runs.

    Returns:
        Indices from 0 to 1, shape (n, m); 1 for two empty sets.
    """
    a, b = (np.asarray(side, dtype=bool).reshape(len(side), -1) for side in (left, right))
    result = np.empty((len(a), len(b)), np.float32)
    for rows, columns in _blocks(len(a), len(b)):
        one = torch.from_numpy(a[rows].astype(np.float32)).to(device)
        two = torch.from_numpy(b[columns].astype(np.float32)).to(device)
        with full_precision():
            both = one @ two.T
        either = one.sum(1)[:, None] + two.sum(1)[None] - both
        index = torch.where(either > 0, both / either.clamp(min=1), torch.ones_like(both))
        result[rows, columns] = index.cpu().numpy()
    return result


def _products(left: NDArray[Any], right: NDArray[Any], device: Device, *, centre: bool) -> Matrix:
    if left.shape[1:] != right.shape[1:]:
        raise ValueError(f"shapes {left.shape} and {right.shape}: expected (n, ...), (m, ...)")
    result = np.empty((len(left), len(right)), np.float32)
    for rows, columns in _blocks(len(left), len(right)):
        one, two = (_unit(side, device, centre) for side in (left[rows], right[columns]))
        with full_precision():
            block = (one @ two.T).clamp_(-1, 1)
        result[rows, columns] = block.cpu().numpy()
    return result


def _unit(rows: NDArray[Any], device: Device, centre: bool) -> Tensor:
    """Scale vectors to unit length in fp64, about their means if asked, and round to fp32."""
    vectors = torch.from_numpy(rows.reshape(len(rows), -1).astype(np.float64)).to(device)
    if centre:
        vectors -= vectors.mean(dim=1, keepdim=True)
    norm = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    # Rounding leaves about 1e-13 of a constant vector, which is no contrast.
    return (vectors / torch.where(norm > 1e-9, norm, torch.inf)).float()


def _blocks(n: int, m: int) -> Iterator[tuple[slice, slice]]:
    for row in range(0, n, _ROWS):
        for column in range(0, m, _ROWS):
            yield slice(row, row + _ROWS), slice(column, column + _ROWS)
