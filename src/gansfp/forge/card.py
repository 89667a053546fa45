"""The card of a forged benchmark: what it is made of, and how much it leaks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.evaluation.intervals import delong
from gansfp.features.neighbours import nearest
from gansfp.runtime.provenance import provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.base import RealImages
    from gansfp.forge.plans import Rows

NEAR_COPY = 1 / 3
"""A sample so much nearer to one real image than to the next is a near copy (Gu et al., 2025)."""


PRIVATE = ("command", "folder", "host", "slurm")
"""What a card, which is given away with its benchmark, leaves out of the provenance."""


def made_with() -> dict[str, Any]:
    """Say which versions and hardware forged a benchmark, without names of machines or folders."""
    return {key: value for key, value in provenance().items() if key not in PRIVATE}


def leak_facts(
    source: RealImages, members: Rows, samples: NDArray[np.uint8], copies: int
) -> dict[str, Any]:
    """Measure what a generator gives away, with the images that it never saw as control.

    Args:
        source: All real images.
        members: Those the generator was trained on, shape (n,).
        samples: Its images, uint8, shape (m, H, W).
        copies: Exact copies that were thrown away.

    Returns:
        `auc_nearest`: AUC of "nearest sample is near in pixels" for member against other, and its
        95 % `auc_interval` by patient (`delong`); None where a side is empty.
        `nearest_is_member` and `expected`: share of samples whose nearest real image is a member,
        and the share of members among the real images. `near_copies_of_members` and
        `near_copies_of_others`: shares of the samples.
    """
    real = source.pixels.reshape(len(source), -1)
    drawn = samples.reshape(len(samples), -1)
    is_member = np.zeros(len(source), dtype=bool)
    is_member[members] = True
    from_real, _ = nearest(real, drawn, 1)
    two, index = nearest(drawn, real, 2)
    near = two[:, 0] < NEAR_COPY * two[:, 1]
    of_member = is_member[index[:, 0]]
    area = delong(is_member, -from_real[:, 0], source.groups)
    known = not math.isnan(area.value)
    return {
        "auc_nearest": round(area.value, 4) if known else None,
        "auc_interval": [round(area.low, 4), round(area.high, 4)] if known else None,
        "nearest_is_member": round(float(of_member.mean()), 4),
        "expected": round(float(is_member.mean()), 4),
        "near_copies_of_members": round(float((near & of_member).mean()), 4),
        "near_copies_of_others": round(float((near & ~of_member).mean()), 4),
        "exact_copies_dropped": copies,
    }


def member_facts(source: RealImages, members: Rows) -> list[dict[str, str]]:
    """Name each member: source name, group, pixel hash."""
    return [
        {"name": source.names[k], "group": source.groups[k], "hash": source.hashes[k]}
        for k in members
    ]
