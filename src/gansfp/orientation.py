"""The sign of a score: theory fixes it, labels may reverse it with evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.evaluation.intervals import delong

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def orient(
    raw: ArrayLike,
    label: ArrayLike | None,
    higher_is_member: bool,
    groups: ArrayLike | None = None,
) -> tuple[int, str]:
    """Fix the sign that makes a raw score higher for used images.

    Theory fixes the sign. Labels reverse it only with evidence: the 95 % interval of the labelled
    area under the ROC curve (DeLong, by patient where groups are given) lies below 1/2.

    Args:
        raw: Raw scores of labelled images, shape (n,).
        label: 1 = used, 0 = not used; shape (n,). None or empty: theory decides.
        higher_is_member: The sign that theory gives.
        groups: Patient of each image, shape (n,).

    Returns:
        +1 or -1, and one sentence that says what was done and why.
    """
    sign = 1 if higher_is_member else -1
    stated = f"{'higher' if higher_is_member else 'lower'} raw scores mean used, by theory"
    if label is None or len(np.unique(np.asarray(label))) < 2:
        return sign, f"{stated}; no labelled images of both kinds to check it on."
    area, low, high = delong(label, sign * np.asarray(raw, np.float64).ravel(), groups)
    seen = f"AUC {area:.3f} [{low:.3f}, {high:.3f}] on {len(np.asarray(label))} labelled images"
    if high < 0.5:
        return -sign, f"sign reversed against theory ({stated}): {seen} lies below 0.5."
    if low > 0.5:
        return sign, f"{stated}; {seen} agrees."
    return sign, f"{stated}; {seen} does not exclude 0.5, so the sign stays."
