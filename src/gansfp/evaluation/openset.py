"""Open-set attribution: images of generators that no class stands for, told by low confidence.

Scheirer et al., "Toward open set recognition", TPAMI 2013; the protocol of unseen sources is that
of Yang et al., "Progressive open space expansion for open-set model attribution", CVPR 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansfp.evaluation.intervals import Interval, delong, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

UNKNOWN = "unknown"
"""Decision for an image of no known class, and label of such a one in a truth file."""


@dataclass(frozen=True)
class OpenSet:
    """How well unknown images are told from known ones, and what rejecting them costs.

    Attributes:
        auroc: Of confidence, for known against unknown images, with its interval (DeLong).
        threshold: Confidence below which an image is rejected.
        known_kept: Share of known images that are kept.
        known_right: Share of known images that are kept and attributed rightly.
        unknown_rejected: Share of unknown images that are rejected.
    """

    auroc: Interval
    threshold: float
    known_kept: float
    known_right: float
    unknown_rejected: float


def rejection_threshold(validation: Array, kept: float = 0.95) -> float:
    """Set the confidence below which images are rejected, by known images alone.

    Args:
        validation: Probabilities of held-out images of known classes, shape (n, classes).
        kept: Share of them that is kept, at least.

    Raises:
        ValueError: There is no image, or the share is none.
    """
    if not len(validation) or not 0 < kept <= 1:
        raise ValueError(f"{len(validation)} images, kept={kept}: need some, and a share")
    ordered = np.sort(validation.max(axis=1))
    return float(ordered[len(ordered) - int(np.ceil(kept * len(ordered) - 1e-9))])


def false_acceptance(known: Array, unknown: Array, kept: float = 0.95) -> Interval:
    """Measure the share of unknown images that are kept where so many known ones are: FPR at TPR.

    The threshold is set on the known test images themselves, as papers do to compare scores. It is
    no decision rule: that one has `rejection_threshold` of held-out images.

    Args:
        known: Probabilities of test images of known classes, shape (n, classes).
        unknown: Of test images of other generators, shape (m, classes).
        kept: Share of the known ones, at least.

    Returns:
        With its Wilson interval at that threshold.
    """
    threshold = rejection_threshold(known, kept)
    return wilson(int((unknown.max(axis=1) >= threshold).sum()), len(unknown))


def open_set(known: Array, targets: NDArray[np.int64], unknown: Array, threshold: float) -> OpenSet:
    """Measure rejection by the largest probability.

    Args:
        known: Probabilities of test images of known classes, shape (n, classes).
        targets: Their classes, shape (n,).
        unknown: Probabilities of test images of other generators, shape (m, classes).
        threshold: Of `rejection_threshold`.
    """
    sure, unsure = known.max(axis=1), unknown.max(axis=1)
    kept = sure >= threshold
    is_known = np.repeat([1, 0], [len(sure), len(unsure)])
    return OpenSet(
        auroc=delong(is_known, np.concatenate([sure, unsure])),
        threshold=threshold,
        known_kept=float(kept.mean()),
        known_right=float((kept & (known.argmax(axis=1) == targets)).mean()),
        unknown_rejected=float((unsure < threshold).mean()),
    )
