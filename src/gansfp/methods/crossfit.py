"""Out of fold by construction: who is fitted on, and who is scored, follows from an image's key.

Each patient (each image, where no patients are known) has a fold that a hash of its key gives. The
model of a fold is fitted on known images of the other folds and scores every image of this fold,
labelled or not. No image is therefore scored with a statistic that was fitted on itself or on its
patient; and a known non-member and a test image that was not used are treated alike, which is what
conformal p-values and thresholds from labelled images need.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Scores = NDArray[np.float64]


def folds_of(keys: NDArray[Any], folds: int) -> NDArray[np.int64]:
    """Give each image the fold of its key, the same on every machine and in every set.

    Args:
        keys: Patient or image of each, shape (n,).
        folds: Number of folds.

    Returns:
        0 to `folds` - 1, shape (n,).
    """
    unique, where = np.unique(np.asarray(keys), return_inverse=True)
    digests = [hashlib.blake2b(str(key).encode(), digest_size=8).digest() for key in unique]
    numbers = np.array([int.from_bytes(digest, "big") % folds for digest in digests], np.int64)
    return numbers[where] if len(numbers) else np.empty(0, np.int64)


def cross_fitted(
    fit: Callable[[NDArray[np.int64]], Callable[[NDArray[np.int64]], Scores]],
    known: NDArray[np.bool_],
    keys: NDArray[Any],
    folds: int,
) -> Scores:
    """Score every image with the model that did not see its fold.

    Args:
        fit: Takes positions of known images, returns a function from positions to scores.
        known: Images that may be fitted on, shape (n,).
        keys: Patient or image of each, shape (n,).
        folds: Number of folds.

    Returns:
        Scores, shape (n,).

    Raises:
        UserError: A fold leaves no known image to fit on.
    """
    fold = folds_of(keys, folds)
    scores = np.full(len(keys), np.nan)
    for number in np.unique(fold):
        seen = np.flatnonzero(known & (fold != number))
        if not len(seen):
            raise UserError(
                f"method.folds={folds}: no labelled image is left to fit on; label more images"
            )
        asked = np.flatnonzero(fold == number)
        scores[asked] = fit(seen)(asked)
    return scores
