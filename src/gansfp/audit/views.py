"""Ways of comparing two images; the attack joins several."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from gansfp.audit.aligned import CANDIDATES, aligned_neighbours, coarse, fine
from gansfp.errors import UserError, suggest
from gansfp.features.neighbours import nearest
from gansfp.features.representations import Features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.features.backbones import BackboneSpec
    from gansfp.features.neighbours import Exclusion

    Vectors = NDArray[np.float32]
    Found = tuple[NDArray[np.float64], NDArray[np.int64]]

NAMES = ("aligned", "ncc", "coarse", "features")


UNLIMITED = sys.maxsize


class View(Protocol):
    """A map from images to vectors, and the nearest neighbours among these.

    Distances are at most 2: sqrt(2 - 2 r), with r a correlation or a cosine.

    Attributes:
        most: How many neighbours it can find at once.
    """

    @property
    def most(self) -> int:
        """How many neighbours it can find at once."""

    def encode(self, images: NDArray[np.uint8]) -> Vectors:
        """Map images, uint8 (N, H, W), to vectors, float32 (N, D)."""

    def neighbours(
        self, queries: Vectors, references: Vectors, k: int, exclude: Exclusion | None = None
    ) -> Found:
        """Find distances and positions of the k nearest references, each (n, k)."""


@dataclass(frozen=True)
class Plain:
    """Pixels of zero mean and unit norm, at up to 64 pixels a side or at 16.

    Attributes:
        small: At 16.
        device: Where the products run.
    """

    small: bool = False
    device: str = "cpu"
    most: int = UNLIMITED

    def encode(self, images: NDArray[np.uint8]) -> Vectors:
        """Standardise the pixels of each image."""
        return coarse(fine(images)) if self.small else fine(images)

    def neighbours(
        self, queries: Vectors, references: Vectors, k: int, exclude: Exclusion | None = None
    ) -> Found:
        """Find the nearest by correlation."""
        return nearest(queries, references, k, exclude, device=self.device)


@dataclass(frozen=True)
class Aligned:
    """Pixels after the best small shift; see `gansfp.audit.aligned`.

    Attributes:
        shift: Largest shift, pixels of the image averaged down to 64.
        device: Where the products run.
    """

    shift: int = 2
    device: str = "cpu"
    most: int = CANDIDATES

    def encode(self, images: NDArray[np.uint8]) -> Vectors:
        """Standardise the pixels of each image."""
        return fine(images)

    def neighbours(
        self, queries: Vectors, references: Vectors, k: int, exclude: Exclusion | None = None
    ) -> Found:
        """Find the nearest by correlation at the best shift."""
        return aligned_neighbours(queries, references, k, exclude, self.shift, self.device)


@dataclass(frozen=True)
class Deep:
    """Pooled features of a frozen backbone, by cosine.

    Attributes:
        features: The backbone; its features are kept nowhere: they describe patients.
        device: Where the products run.
    """

    features: Features
    device: str = "cpu"
    most: int = UNLIMITED

    def encode(self, images: NDArray[np.uint8]) -> Vectors:
        """Embed the images, as the network gives them: of any length, for KID."""
        return self.features.encode(images)

    def neighbours(
        self, queries: Vectors, references: Vectors, k: int, exclude: Exclusion | None = None
    ) -> Found:
        """Find the nearest by cosine."""
        return nearest(_unit(queries), _unit(references), k, exclude, device=self.device)


def build_view(name: str, backbone: BackboneSpec, shift: int, device: str) -> View:
    """Build a view by name.

    Raises:
        UserError: There is no such view.
    """
    if name == "aligned":
        return Aligned(shift, device)
    if name in ("ncc", "coarse"):
        return Plain(name == "coarse", device)
    if name == "features":
        return Deep(Features(backbone, normalize=False), device)
    raise UserError(
        f"attack.views: {name}: no such view{suggest(name, NAMES)} ({', '.join(NAMES)})"
    )


def _unit(vectors: Vectors) -> Vectors:
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(norm, np.finfo(np.float32).tiny))
