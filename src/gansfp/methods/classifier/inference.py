"""From the outputs of a fitted network to class probabilities, as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

Inference = Literal["head", "centroid", "nearest", "svm"]


def among(logits: Array, classes: int) -> Array:
    """Turn logits into probabilities among the first classes; further ones are left out.

    Run 1425 learns "real" as a sixth class, and every test image comes from a generator.

    Args:
        logits: Shape (n, outputs), outputs >= classes.
        classes: How many count.

    Returns:
        Rows that sum to 1, shape (n, classes).
    """
    result: Array = softmax(logits[:, :classes], axis=1)
    return result


def similarity(queries: Array, references: list[Array], kind: Inference) -> Array:
    """Measure the cosine similarity of images to sets.

    Args:
        queries: Features, shape (n, D).
        references: Features of each set, shapes (m, D).
        kind: `centroid`: to the mean of a set's unit vectors. `nearest`: to its most similar image.

    Returns:
        Between -1 and 1, shape (n, sets).
    """
    unit = _unit(queries)
    if kind == "centroid":
        return unit @ np.stack([_unit(_unit(r).mean(axis=0)) for r in references]).T
    return np.stack([(unit @ _unit(r).T).max(axis=1) for r in references], axis=1)


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    result: Array = vectors / np.maximum(length, np.finfo(np.float64).tiny)
    return result
