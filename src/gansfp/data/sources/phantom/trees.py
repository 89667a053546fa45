"""Branching vessels and airways that fill the lungs of one patient.

Volume-filling growth after Tawhai, Pullan and Hunter (Ann. Biomed. Eng. 28, 2000): the points a
branch must feed are halved by a plane, and each half gets a branch towards its middle. Radii follow
Murray's law with an exponent fitted to lung vessels (Huang et al., J. Appl. Physiol. 81, 1996).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.sources.phantom.tubes import Tubes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

LEVELS = 9
_REACH = 0.55  # of the way from a fork to the middle of what the branch feeds
_MURRAY = 2.5


@dataclass(frozen=True, slots=True)
class Tree:
    """A batch of binary trees, their pieces in order of depth.

    Attributes:
        tubes: All pieces.
        depth: Of each piece, shape (n,); 0 at the root.
        owner: Which tree of the batch, shape (n,).
    """

    tubes: Tubes
    depth: NDArray[np.int64]
    owner: NDArray[np.int64]


def grow(roots: Floats, points: Floats, rng: np.random.Generator, tip: float) -> Tree:
    """Grow trees from their roots to all points.

    Args:
        roots: Where the trees start, shape (T, 3), mm.
        points: What each must feed, shape (T, 2^LEVELS, 3), mm.
        rng: Where chance comes from.
        tip: Radius of the finest branches, mm.

    Returns:
        Trees with 2^(LEVELS + 1) - 2 pieces each.
    """
    count, leaves, _ = points.shape
    weight = np.exp(0.5 * rng.standard_normal((count, leaves)))
    groups, fed = points[:, None], weight[:, None]
    ends, direction = roots[:, None], np.zeros((count, 1, 3))
    radius = tip * fed.sum(2) ** (1 / _MURRAY)
    pieces: list[tuple[Floats, Floats, Floats, Floats]] = []
    depths, owners = [], []
    for depth in range(LEVELS):
        groups, fed = _halve(groups, fed, direction, rng)
        starts = np.repeat(ends, 2, axis=1)
        parents = np.repeat(radius, 2, axis=1)
        radius = tip * fed.sum(2) ** (1 / _MURRAY)
        reach = 1.0 if depth == LEVELS - 1 else _REACH * rng.uniform(0.75, 1.25, (*radius.shape, 1))
        way = groups.mean(2) - starts
        ends = starts + reach * way
        pieces.append((starts, ends, np.minimum(1.05 * radius, parents), radius))
        direction = way / np.maximum(np.sqrt((way**2).sum(2, keepdims=True)), 1e-9)
        depths.append(np.full(radius.size, depth))
        owners.append(np.repeat(np.arange(count), radius.shape[1]))
    joined = [np.concatenate([p[k].reshape(-1, *p[k].shape[2:]) for p in pieces]) for k in range(4)]
    return Tree(Tubes(*joined), np.concatenate(depths), np.concatenate(owners))


def _halve(
    groups: Floats, fed: Floats, direction: Floats, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Split each group of points at the median across the widest direction, shape (T, G, m, 3)."""
    trees, number, size, _ = groups.shape
    offset = groups - groups.mean(2, keepdims=True)
    spread = np.sqrt((offset**2).mean(2)) * rng.uniform(0.7, 1.3, (trees, number, 3))
    # Prefer a plane that holds the branch's own direction: its normal is across.
    spread *= 1.0 - 0.8 * np.abs(direction)
    normal = (spread == spread.max(2, keepdims=True)) + 0.25 * rng.standard_normal(spread.shape)
    order = np.argsort(np.einsum("tgmd,tgd->tgm", offset, normal), axis=2, kind="stable")
    groups = np.take_along_axis(groups, order[..., None], axis=2)
    fed = np.take_along_axis(fed, order, axis=2)
    shape = trees, 2 * number, size // 2
    return groups.reshape(*shape, 3), fed.reshape(shape)


def beside(tubes: Tubes, gap: float = 0.6) -> Tubes:
    """Airways that run along arteries: moved sideways by both radii.

    Args:
        tubes: The arteries.
        gap: Tissue between the two in mm.

    Returns:
        Tubes of nearly the arteries' size; neighbours do not share their ends exactly.
    """
    axis = tubes.stop - tubes.start
    side = np.stack([-axis[:, 1], axis[:, 0], 0.3 * np.abs(axis[:, 2]) + 1e-6], axis=1)
    side /= np.maximum(np.sqrt((side**2).sum(1, keepdims=True)), 1e-9)
    moved = tubes.shifted(side * (2 * tubes.stop_radius + gap)[:, None])
    return Tubes(moved.start, moved.stop, 0.9 * moved.start_radius, 0.9 * moved.stop_radius)
