"""What "close" means: images as vectors whose Euclidean distance a method compares."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.errors import UserError
from gansfp.features.backbones import Backbone, BackboneSpec
from gansfp.features.embeddings import embed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 1024


class Representation(Protocol):
    """A map from images to vectors, described by plain values."""

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Map grey images, uint8 (N, H, W), to vectors, float32 (N, D)."""

    def spec(self) -> dict[str, Any]:
        """Describe the map by plain values, for `from_spec`."""


@dataclass(frozen=True)
class Pixels:
    """Grey values in [0, 1].

    Attributes:
        size: Side after averaging down, pixels; None: as the images are.
    """

    size: int | None = None

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Flatten the pixels: float32, shape (N, size * size)."""
        return _shrunk(images, self.size)

    def spec(self) -> dict[str, Any]:
        """Describe the map by plain values."""
        return {"kind": "pixels", **asdict(self)}


@dataclass(frozen=True)
class NCC:
    """Pixels of zero mean and unit norm.

    The Euclidean distance is sqrt(2 - 2 ncc), with ncc the normalised cross-correlation (Pearson's
    r of the pixels), so that brightness and contrast do not count. An image of one grey value has
    no direction: it becomes the zero vector, at distance 1 from all others.

    Attributes:
        size: Side after averaging down, pixels; None: as the images are.
    """

    size: int | None = None

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Standardise the pixels of each image: float32, shape (N, size * size)."""
        vectors = _shrunk(images, self.size)
        for start in range(0, len(vectors), _CHUNK):
            block = vectors[start : start + _CHUNK].astype(np.float64)
            block -= block.mean(axis=1, keepdims=True)
            norm = np.linalg.norm(block, axis=1, keepdims=True)
            # Rounding leaves about 1e-15 of a constant image, which is no contrast.
            block /= np.where(norm > 1e-9, norm, np.inf)
            vectors[start : start + _CHUNK] = block
        return vectors

    def spec(self) -> dict[str, Any]:
        """Describe the map by plain values."""
        return {"kind": "ncc", **asdict(self)}


@dataclass
class Features:
    """Pooled features of a frozen backbone.

    Attributes:
        backbone: Which network and weights; loaded at the first use.
        normalize: Scale each vector to unit length, so that distance is sqrt(2 - 2 cosine).
        batch_size: Images at a time.
        cache_dir: Folder of finished embeddings; None: nothing is kept.
    """

    backbone: BackboneSpec = field(default_factory=BackboneSpec)
    normalize: bool = True
    batch_size: int = 32
    cache_dir: str | None = None
    _loaded: Backbone | None = field(default=None, init=False, repr=False, compare=False)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed the images: float32, shape (N, dim)."""
        if self._loaded is None:
            self._loaded = self.backbone.load()
        vectors = embed(images, self._loaded, self.batch_size, self.cache_dir)
        if self.normalize:
            norm = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = vectors / np.maximum(norm, np.finfo(np.float32).tiny)
        return vectors

    def spec(self) -> dict[str, Any]:
        """Describe the map by plain values; where the cache lies is no part of it."""
        return {
            "kind": "features",
            "backbone": asdict(self.backbone),
            "normalize": self.normalize,
            "batch_size": self.batch_size,
        }


def from_spec(spec: dict[str, Any]) -> Representation:
    """Build the representation that `spec` described.

    Raises:
        UserError: There is no such kind.
    """
    options = dict(spec)
    kind = options.pop("kind", None)
    if kind == "pixels":
        return Pixels(**options)
    if kind == "ncc":
        return NCC(**options)
    if kind == "features":
        return Features(backbone=BackboneSpec(**options.pop("backbone")), **options)
    raise UserError(f"representation {kind!r}: choose pixels, ncc or features")


def _shrunk(images: NDArray[np.uint8], size: int | None) -> NDArray[np.float32]:
    n, height, width = images.shape
    if size is None or size == height == width:
        flat = np.array(images).reshape(n, -1).astype(np.float32)
        flat /= 255
        return flat
    if size < 1 or size > min(height, width):
        raise UserError(
            f"representation size={size}: images have {height} x {width} pixels; choose 1 to "
            f"{min(height, width)}"
        )
    result = np.empty((n, size * size), dtype=np.float32)
    for start in range(0, n, _CHUNK):
        block = torch.from_numpy(np.array(images[start : start + _CHUNK])).unsqueeze(1).float()
        small = F.adaptive_avg_pool2d(block, size)
        result[start : start + _CHUNK] = (small.flatten(1) / 255).numpy()
    return result
