"""A fitted random forest as plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]


def forest_arrays(forest: Any) -> Arrays:
    """Take a binary `RandomForestClassifier` apart.

    Returns:
        Nodes of all trees, one after another: `feature` (-1: leaf), `cut`, `left`, `right` and
        `share` (of class 1 in the node), each shape (nodes,); and `roots`, shape (trees,).
    """
    trees = [estimator.tree_ for estimator in forest.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees[:-1])])
    values = [tree.value[:, 0, :] for tree in trees]
    return {
        "feature": np.concatenate([tree.feature for tree in trees]),
        "cut": np.concatenate([tree.threshold for tree in trees]),
        "left": np.concatenate([t.children_left + r for t, r in zip(trees, roots, strict=True)]),
        "right": np.concatenate([t.children_right + r for t, r in zip(trees, roots, strict=True)]),
        "share": np.concatenate([value[:, 1] / value.sum(axis=1) for value in values]),
        "roots": roots,
    }


def forest_score(arrays: Arrays, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the probability of class 1, as `predict_proba` does: the mean share of the leaves.

    Args:
        arrays: See `forest_arrays`.
        vectors: Shape (n, D); scikit-learn compares them as fp32.

    Returns:
        Shape (n,).
    """
    values = np.asarray(vectors, dtype=np.float32)
    node = np.tile(arrays["roots"], (len(values), 1))
    row = np.arange(len(values))[:, None]
    while True:
        feature = arrays["feature"][node]
        inner = feature >= 0
        if not inner.any():
            return np.asarray(arrays["share"][node].mean(axis=1))
        goes_left = values[row, np.maximum(feature, 0)] <= arrays["cut"][node]
        child = np.where(goes_left, arrays["left"][node], arrays["right"][node])
        node = np.where(inner, child, node)
