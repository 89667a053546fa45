"""Neural Nexus' decision: twenty features, three distances, a second forest; on arrays alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import RandomForestClassifier

from gansfp.errors import UserError
from gansfp.features.neighbours import nearest
from gansfp.methods.forest.trees import forest_arrays, forest_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

META = ("reconstruction", "latent_distance", "mahalanobis")
"""What the second forest learns from, in this order."""


@dataclass(frozen=True)
class Described:
    """Images as an autoencoder and the handcrafted descriptors see them.

    Attributes:
        latents: Shape (n, D).
        errors: Mean squared error of each restored image, shape (n,).
        handcrafted: Shape (n, 48).
    """

    latents: Array
    errors: Array
    handcrafted: Array

    @property
    def vectors(self) -> Array:
        """Latents and handcrafted values side by side, shape (n, D + 48)."""
        return np.concatenate([self.latents, self.handcrafted], axis=1)


class TwoForests:
    """Two random forests and what lies between them.

    The first forest ranks features on the labelled images. The most important ones of all
    synthetic images give a covariance. Three numbers of a real image, the error of restoring it,
    the smallest cosine distance of its latent to a synthetic one, and its squared Mahalanobis
    distance, go into the second forest, whose share of votes is the score.

    As published, both forests learn from the same labelled images.
    """

    def __init__(
        self, trees: int = 200, top: int = 20, second_trees: int = 100, seed: int = 42
    ) -> None:
        """Choose trees of the first forest, features kept, trees of the second, and the seed."""
        self.trees, self.top, self.second_trees, self.seed = trees, top, second_trees, seed
        self._learnt: dict[str, NDArray[Any]] = {}

    def fit(self, labelled: Described, labels: NDArray[np.int64], synthetic: Described) -> None:
        """Learn.

        Args:
            labelled: Labelled real images.
            labels: 1 used, 0 not used, shape (n,).
            synthetic: All synthetic images.

        Raises:
            UserError: All labelled images have one label.
        """
        if len(np.unique(labels)) < 2:
            raise UserError("data.root: the forests need labelled images used and not used")
        vectors = labelled.vectors
        first = RandomForestClassifier(self.trees, random_state=self.seed).fit(vectors, labels)
        top = np.argsort(-first.feature_importances_, kind="stable")[: self.top]
        covariance = EmpiricalCovariance().fit(synthetic.vectors[:, top])
        self._learnt = {
            "top": top,
            "location": covariance.location_,
            "precision": covariance.get_precision(),
            "latents": synthetic.latents,
        }
        meta = self.meta(labelled)
        second = RandomForestClassifier(self.second_trees, random_state=self.seed)
        self._learnt |= forest_arrays(second.fit(meta, labels))

    def meta(self, described: Described) -> Array:
        """Compute the three numbers of `META` for each image, shape (n, 3)."""
        offset = described.vectors[:, self._learnt["top"]] - self._learnt["location"]
        squared = np.einsum("nd,de,ne->n", offset, self._learnt["precision"], offset)
        unit, references = _unit(described.latents), _unit(self._learnt["latents"])
        # Between unit vectors the squared distance is twice the cosine distance.
        cosine = np.square(nearest(unit, references, 1)[0][:, 0]) / 2
        return np.stack([described.errors, cosine, squared], axis=1)

    def score(self, described: Described) -> Array:
        """Give the second forest's probability of "used", shape (n,)."""
        return forest_score(self._learnt, self.meta(described))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give what was learnt."""
        return dict(self._learnt)

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take what `arrays` gave."""
        self._learnt = dict(arrays)


def _unit(vectors: Array) -> Array:
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norm, np.finfo(np.float64).tiny))
