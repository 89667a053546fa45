"""Whether members can be told from others without any synthetic image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.evaluation.blind import blind_features, cross_scores
from gansfp.evaluation.intervals import delong

if TYPE_CHECKING:
    from gansfp.data.sources.base import RealImages
    from gansfp.forge.plans import Rows


def blind_facts(source: RealImages, used: Rows, others: Rows, seed: int) -> dict[str, Any] | None:
    """Run the blind baseline on the real images of a membership benchmark.

    Args:
        source: The real images.
        used: Those that are given out as used, shape (n,).
        others: Those given out as not used, shape (m,).
        seed: Seed of the folds.

    Returns:
        `auc` out of fold with its interval by patient, `low` and `high` (`delong`), and the number
        of `images`; None with fewer than two groups on a side.
    """
    rows = np.concatenate([used, others])
    labels = np.repeat([1, 0], [len(used), len(others)])
    groups = np.array(source.groups)[rows]
    if min(len(set(groups[labels == label])) for label in (0, 1)) < 2:
        return None
    features = blind_features(source.pixels[rows])
    found = delong(labels, cross_scores(features, labels, groups, seed), groups)
    low, high = round(found.low, 4), round(found.high, 4)
    return {"auc": round(found.value, 4), "low": low, "high": high, "images": len(rows)}
