"""Are probabilities what they say? Reliability, and the calibration error, of attribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansfp.evaluation.intervals import wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of about the same confidence: a point of a reliability diagram.

    Attributes:
        confidence: Mean largest probability.
        accuracy: Share of right decisions.
        low: Lower end of its interval (Wilson).
        high: Upper end.
        n: Number of images.
    """

    confidence: float
    accuracy: float
    low: float
    high: float
    n: int


def reliability(
    probabilities: Array, targets: NDArray[np.int64], bins: int = 10
) -> list[ReliabilityBin]:
    """Lay a reliability diagram out (DeGroot and Fienberg, 1983), in bins of equal width.

    Args:
        probabilities: Shape (n, classes).
        targets: Shape (n,).
        bins: Of [0, 1], each without its lower end; empty ones are left out.
    """
    confidence, decided = probabilities.max(axis=1), probabilities.argmax(axis=1)
    right = decided == targets
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    found = []
    for number in np.unique(place):
        here = place == number
        hits, n = int(right[here].sum()), int(here.sum())
        share, low, high = wilson(hits, n)
        found.append(ReliabilityBin(float(confidence[here].mean()), share, low, high, n))
    return found


def calibration_error(probabilities: Array, targets: NDArray[np.int64], bins: int = 10) -> float:
    """Compute the expected calibration error (Guo et al., ICML 2017) with torchmetrics.

    The mean distance of accuracy from confidence over the bins, weighed by their images. It is
    above 0 for calibrated probabilities too, the more so the fewer images there are.

    Args:
        probabilities: Shape (n, classes).
        targets: Shape (n,).
        bins: Of [0, 1].
    """
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    found = multiclass_calibration_error(
        torch.from_numpy(np.asarray(probabilities, np.float64)),
        torch.from_numpy(np.asarray(targets, np.int64)),
        num_classes=probabilities.shape[1],
        n_bins=bins,
    )
    return float(found)
