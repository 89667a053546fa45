"""What can be said without non-members: near copies, as a description and not as a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.features.neighbours import Exclusion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gansfp.audit.attack import Attack, Vectors

COPY_RATIO = 1 / 3
"""A synthetic image counts as a near copy of a real one that is three times nearer than the next of
another patient (the rule of Gu et al. 2025 for diffusion models)."""

SHOWN = 50


def describe(
    attack: Attack,
    real: Sequence[Vectors],
    synthetic: Sequence[Vectors],
    groups: NDArray[np.str_],
) -> dict[str, Any]:
    """Describe how near synthetic images come to real ones, in the attack's first view.

    Args:
        attack: How images are compared.
        real: Real images, an array for each view, n rows.
        synthetic: Synthetic images, likewise.
        groups: Patient of each real image, shape (n,).

    Returns:
        Medians and 5 % quantiles of three nearest distances (synthetic to real, real to real of
        another patient, synthetic to synthetic), the share of synthetic images that are nearer to
        a real one than that one is to any other patient, and the near copies.
    """
    view = attack.first
    to_real, whose = view.neighbours(synthetic[0], real[0], 1)
    among_real = view.neighbours(real[0], real[0], 1, Exclusion(groups, groups))[0][:, 0]
    own = np.arange(len(synthetic[0]))
    among_synthetic = view.neighbours(synthetic[0], synthetic[0], 1, Exclusion(own, own))[0][:, 0]
    nearest, owner = to_real[:, 0], whose[:, 0]
    # The next one of another patient: what is nearest once the owner's patient is left out.
    following = view.neighbours(synthetic[0], real[0], 1, Exclusion(groups[owner], groups))[0][:, 0]
    ratio = nearest / np.maximum(following, 1e-12)
    copies = np.flatnonzero(ratio < COPY_RATIO)
    order = copies[np.argsort(ratio[copies], kind="stable")]
    return {
        "distances": {
            "synthetic_to_real": _quantiles(nearest),
            "real_to_real": _quantiles(among_real),
            "synthetic_to_synthetic": _quantiles(among_synthetic),
        },
        "nearer_than_real_neighbour": round(float((nearest < among_real[owner]).mean()), 6),
        "near_copies": len(copies),
        "copied_patients": len(np.unique(groups[owner[copies]])),
        "rule": f"three times nearer to one real image than to the next patient ({COPY_RATIO:.3f})",
        "pairs": [
            {
                "real": int(owner[k]),
                "synthetic": int(k),
                "distance": round(float(nearest[k]), 6),
                "ratio": round(float(ratio[k]), 6),
            }
            for k in order[:SHOWN]
        ],
    }


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 6),
        "lowest_5_percent": round(float(np.quantile(values, 0.05)), 6),
    }
