"""Clusters as a classifier: what k-means or agglomeration finds, and which class each is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy.optimize import linear_sum_assignment

from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Labels = NDArray[np.int64]

Algorithm = Literal["kmeans", "agglomerative"]
Matching = Literal["hungarian", "none"]


@dataclass(frozen=True)
class Clusters:
    """One cluster a class.

    Attributes:
        centres: Mean of each cluster, shape (classes, D).
        classes: Class of each cluster, shape (classes,).
        matched: Share of the labelled images in the cluster of their class, matched.
        unmatched: The same with cluster numbers taken for class numbers, which is what the
            published script does: a number that depends on nothing but the numbering.
    """

    centres: Array
    classes: Labels
    matched: float
    unmatched: float

    @classmethod
    def fit(
        cls,
        features: Array,
        targets: Labels,
        classes: int,
        algorithm: Algorithm,
        matching: Matching = "hungarian",
        seed: int = 42,
    ) -> Clusters:
        """Cluster labelled images without their labels, then name the clusters by these.

        Args:
            features: Shape (n, D).
            targets: 0 to `classes` - 1, shape (n,).
            classes: Number of clusters.
            algorithm: `kmeans`, or `agglomerative` (ward).
            matching: `hungarian`: one cluster a class, so that most images agree. `none`: cluster
                k is class k.
            seed: Of k-means.

        Raises:
            UserError: There is no such algorithm.
        """
        found = _cluster(features, classes, algorithm, seed)
        centres = np.stack([features[found == k].mean(axis=0) for k in range(classes)])
        best = match(found, targets, classes)
        number = np.arange(classes)
        return cls(
            centres,
            best if matching == "hungarian" else number,
            matched=float((best[found] == targets).mean()),
            unmatched=float((found == targets).mean()),
        )

    def probabilities(self, features: Array, temperature: float = 1.0) -> Array:
        """Say how near each image is to the centre of each class.

        The arg-max is the class of the nearest centre. The softmax of minus the squared distance
        over its mean ranks, and is not calibrated.

        Args:
            features: Shape (n, D).
            temperature: Sharpness.

        Returns:
            Rows sum to 1, shape (n, classes).
        """
        from scipy.special import softmax

        squared = (
            (features**2).sum(axis=1)[:, None]
            - 2 * features @ self.centres.T
            + (self.centres**2).sum(axis=1)
        )
        scale = max(float(np.mean(squared)), np.finfo(np.float64).tiny)
        by_cluster = softmax(-squared / scale / temperature, axis=1)
        result: Array = np.zeros(by_cluster.shape)
        result[:, self.classes] = by_cluster
        return result


def match(clusters: Labels, targets: Labels, classes: int) -> Labels:
    """Give each cluster a class of its own so that most images agree.

    The assignment problem of Kuhn, "The Hungarian method for the assignment problem", 1955.

    Args:
        clusters: Cluster of each image, 0 to `classes` - 1, shape (n,).
        targets: Class of each image, shape (n,).
        classes: Number of both.

    Returns:
        Class of each cluster, shape (classes,).
    """
    together = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(together, (clusters, targets), 1)
    _, assigned = linear_sum_assignment(together, maximize=True)
    return np.asarray(assigned, dtype=np.int64)


def _cluster(features: Array, classes: int, algorithm: Algorithm, seed: int) -> Labels:
    from sklearn.cluster import AgglomerativeClustering, KMeans

    if algorithm == "kmeans":
        # scikit-learn's default, of which there is one initialisation.
        found = KMeans(classes, random_state=seed).fit_predict(features)
    elif algorithm == "agglomerative":
        found = AgglomerativeClustering(classes).fit_predict(features)
    else:
        raise UserError(f"method.classifier={algorithm}: choose {', '.join(get_args(Algorithm))}")
    return np.asarray(found, dtype=np.int64)
