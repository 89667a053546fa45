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

    Floats = NDArray[np.floating]

LEVELS = 9
_BOTH = np.arange(2)
_REACH = 0.42  # of the way from a fork to the middle of what the branch feeds
_MURRAY = 2.25
_TWIG = 5.0  # longest end beyond the finest branch, over the shortest, mm
_MARGIN = 10.0  # mm around a plane in which branches are kept: the longest twig and half a slice


@dataclass(frozen=True, slots=True)
class Tree:
    """Pieces of a batch of binary trees, in order of depth.

    Attributes:
        tubes: The pieces.
        depth: Of each piece, shape (n,); 0 at the root.
        owner: Which tree of the batch, shape (n,).
    """

    tubes: Tubes
    depth: NDArray[np.int64]
    owner: NDArray[np.int64]


def grow(
    roots: Floats,
    points: Floats,
    rng: np.random.Generator,
    tip: float,
    level: float | None = None,
) -> Tree:
    """Grow trees from their roots to all points.

    Args:
        roots: Where the trees start, shape (T, 3), mm.
        points: What each must feed, shape (T, 2^LEVELS, 3), mm.
        rng: Where chance comes from.
        tip: Radius of the finest branches, mm.
        level: Leave out branches that cannot come near the plane at this z; those that remain
            are the same as without. None: grow all.

    Returns:
        At most 2^(LEVELS + 2) - 2 pieces for each tree: twigs end the finest branches.
    """
    count, leaves, _ = points.shape
    fed = np.exp(0.5 * rng.standard_normal((count, leaves), dtype=np.float32))
    groups = np.ascontiguousarray(points.transpose(0, 2, 1), dtype=np.float32)
    ends = roots.astype(np.float32)
    direction = np.zeros((count, 3), np.float32)
    node = np.arange(count)
    radius = tip * fed.sum(1) ** (1 / _MURRAY)
    pieces, depths, owners = [], [], []
    for depth in range(LEVELS):
        # Chance for every node there could be: what is left out moves nobody's.
        chance = rng.random((count << depth, 8), dtype=np.float32)[node]
        groups, fed = _halve(groups, fed, direction, chance[:, :6])
        starts, parents = np.repeat(ends, 2, axis=0), np.repeat(radius, 2)
        node = (2 * node[:, None] + _BOTH).ravel()
        reach = _REACH * (0.75 + 0.5 * chance[:, 6:].reshape(-1, 1))
        if depth == LEVELS - 1:
            reach[:] = 1.0
        if level is not None:
            kept = _meets(groups, starts, parents, level)
            groups, fed, starts = groups[kept], fed[kept], starts[kept]
            parents, node, reach = parents[kept], node[kept], reach[kept]
        radius = tip * fed.sum(1) ** (1 / _MURRAY)
        way = groups.mean(2) - starts
        ends = starts + reach * way
        pieces.append(Tubes(starts, ends, np.minimum(1.05 * radius, parents), radius))
        direction = way / np.maximum(np.sqrt((way**2).sum(1, keepdims=True)), 1e-9)
        depths.append(np.full(len(node), depth))
        owners.append(node >> (depth + 1))
    chance = rng.random((count << LEVELS, 8), dtype=np.float32)[node]
    pieces.append(_twigs(pieces[-1], direction, chance))
    depths.append(np.full(2 * len(node), LEVELS))
    owners.append(np.repeat(node, 2) >> LEVELS)
    return Tree(Tubes.joined(pieces), np.concatenate(depths), np.concatenate(owners))


def _twigs(last: Tubes, direction: Floats, chance: NDArray[np.float32]) -> Tubes:
    """Two short ends for each finest branch, forwards and to a side."""
    way = 2.2 * (chance[:, :6].reshape(-1, 3) - 0.5) + np.repeat(direction, 2, axis=0)
    way /= np.maximum(np.sqrt((way**2).sum(1, keepdims=True)), 1e-9)
    starts = np.repeat(last.stop, 2, axis=0)
    ends = starts + way * (3 + _TWIG * chance[:, 6:].reshape(-1, 1))
    radius = np.repeat(last.stop_radius, 2) * 0.5 ** (1 / _MURRAY)
    return Tubes(starts, ends, radius, 0.8 * radius)


def _meets(groups: Floats, starts: Floats, parents: Floats, level: float) -> NDArray[np.bool_]:
    """Branches that stay between their start and what they feed, and may come near a plane."""
    z = groups[:, 2]
    low = np.minimum(z.min(1), starts[:, 2]) - parents - _MARGIN
    high = np.maximum(z.max(1), starts[:, 2]) + parents + _MARGIN
    met: NDArray[np.bool_] = (low < level) & (level < high)
    return met


def _halve(
    groups: Floats, fed: Floats, direction: Floats, chance: NDArray[np.float32]
) -> tuple[Floats, Floats]:
    """Split each group of points, shape (G, 3, m), at the median across its widest direction."""
    number, _, size = groups.shape
    offset = groups - groups.mean(2, keepdims=True)
    spread = np.sqrt(np.einsum("gdm,gdm->gd", offset, offset) / size)
    spread *= 0.7 + 0.6 * chance[:, :3]
    # Prefer a plane that holds the branch's own direction: its normal is across.
    spread *= 1.0 - 0.8 * np.abs(direction)
    normal = (spread == spread.max(1, keepdims=True)) + 0.9 * (chance[:, 3:] - 0.5)
    order = np.argsort(np.einsum("gdm,gd->gm", offset, normal), axis=1, kind="stable")
    order += np.arange(0, number * size, size)[:, None]
    fed = fed.ravel().take(order).reshape(2 * number, size // 2)
    order += np.arange(0, 2 * number * size, 2 * size)[:, None]
    place = order[:, None] + np.arange(0, 3 * size, size)[:, None]
    halves = groups.ravel().take(place).reshape(number, 3, 2, size // 2).transpose(0, 2, 1, 3)
    return halves.reshape(2 * number, 3, size // 2), fed


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
    moved = tubes.shifted(side * (1.75 * tubes.stop_radius + gap)[:, None])
    return Tubes(moved.start, moved.stop, 0.75 * moved.start_radius, 0.75 * moved.stop_radius)
