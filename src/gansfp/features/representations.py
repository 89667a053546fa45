"""What "close" means: images as vectors whose Euclidean distance a method compares."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.errors import UserError
from gansfp.features.backbones import Backbone, BackboneSpec, at_stage
from gansfp.features.embeddings import embed
from gansfp.features.residuals import residuals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.features.residuals import Denoiser

_CHUNK_PIXELS = 1 << 22
"""Pixels that are worked on at a time: 32 MB in fp64."""


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
        step = _step(vectors.shape[1])
        for start in range(0, len(vectors), step):
            block = vectors[start : start + step].astype(np.float64)
            block -= block.mean(axis=1, keepdims=True)
            norm = np.linalg.norm(block, axis=1, keepdims=True)
            # Rounding leaves about 1e-15 of a constant image, which is no contrast.
            block /= np.where(norm > 1e-9, norm, np.inf)
            vectors[start : start + step] = block
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
        stage: Average the maps after this stage of the network (0, 1, ...), where fine texture is
            still to be seen; None: the features of the whole network.
    """

    backbone: BackboneSpec = field(default_factory=BackboneSpec)
    normalize: bool = True
    batch_size: int = 32
    cache_dir: str | None = None
    stage: int | None = None
    _loaded: Backbone | None = field(default=None, init=False, repr=False, compare=False)

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed the images: float32, shape (N, dim)."""
        if self._loaded is None:
            whole = self.backbone.load()
            self._loaded = whole if self.stage is None else at_stage(whole, self.stage)
        vectors = embed(images, self._loaded, self.batch_size, self.cache_dir)
        if self.normalize:
            norm = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = vectors / np.maximum(norm, np.finfo(np.float32).tiny)
        return vectors

    def spec(self) -> dict[str, Any]:
        """Describe the map by plain values, and where it keeps embeddings: `predict` finds them."""
        return {
            "kind": "features",
            "backbone": asdict(self.backbone),
            "normalize": self.normalize,
            "batch_size": self.batch_size,
            "cache_dir": self.cache_dir,
            "stage": self.stage,
        }


@dataclass(frozen=True)
class LBP:
    """Histogram of uniform local binary patterns.

    Attributes:
        points: Neighbours on the circle.
        radius: Its radius, pixels.
    """

    points: int = 8
    radius: float = 1

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Count the patterns of each image: float32, shape (N, points + 2)."""
        from gansfp.features.handcrafted.shapes import lbp_histograms

        return lbp_histograms(images, self.points, self.radius).astype(np.float32)

    def spec(self) -> dict[str, Any]:
        """Describe the map by plain values."""
        return {"kind": "lbp", **asdict(self)}


@dataclass(frozen=True)
class Handcrafted:
    """The 48 values of `gansfp.features.handcrafted.descriptor`, as they are."""

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Describe each image: float32, shape (N, 48)."""
        from gansfp.features.handcrafted.descriptor import descriptors

        return descriptors(images).astype(np.float32)

    def spec(self) -> dict[str, Any]:
        """Describe the map by plain values."""
        return {"kind": "handcrafted"}


@dataclass(frozen=True)
class Residuals:
    """What a denoiser takes away, of zero mean and unit norm: an image without its content.

    Attributes:
        denoiser: See `gansfp.features.residuals`.
    """

    denoiser: Denoiser = "gaussian"

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Flatten the standardised residuals: float32, shape (N, H * W)."""
        found = residuals(images, self.denoiser).reshape(len(images), -1)
        found -= found.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(found, axis=1, keepdims=True)
        found /= np.where(norm > 1e-6, norm, np.inf)
        return found

    def spec(self) -> dict[str, Any]:
        """Describe the map by plain values."""
        return {"kind": "residuals", **asdict(self)}


@dataclass(frozen=True)
class RadialSpectrum:
    """Logarithm of the power in rings of frequency.

    Attributes:
        bins: Rings up to the Nyquist frequency; None: each one cycle a field of view wide.
        denoiser: Take the spectrum of what this denoiser takes away; None: of the image.
    """

    bins: int | None = None
    denoiser: Denoiser | None = None

    def encode(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute the spectra: float32, shape (N, bins)."""
        from gansfp.features.handcrafted.spectrum import radial_spectra

        if self.denoiser is None:
            return radial_spectra(images, self.bins).astype(np.float32)
        return radial_spectra(residuals(images, self.denoiser), self.bins).astype(np.float32)

    def spec(self) -> dict[str, Any]:
        """Describe the map by plain values."""
        return {"kind": "spectrum", **asdict(self)}


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
    if kind == "lbp":
        return LBP(**options)
    if kind == "handcrafted":
        return Handcrafted(**options)
    if kind == "residuals":
        return Residuals(**options)
    if kind == "spectrum":
        return RadialSpectrum(**options)
    raise UserError(
        f"representation {kind!r}: choose pixels, ncc, features, lbp, handcrafted, residuals or "
        "spectrum"
    )


def _shrunk(images: NDArray[np.uint8], size: int | None) -> NDArray[np.float32]:
    """Average images down and flatten them, block by block: float32 in [0, 1]."""
    n, height, width = images.shape
    if size is not None and not 1 <= size <= min(height, width):
        raise UserError(
            f"representation size={size}: images have {height} x {width} pixels; choose 1 to "
            f"{min(height, width)}"
        )
    shape = (height, width) if size is None else (size, size)
    result = np.empty((n, *shape), dtype=np.float32)
    step = _step(height * width)
    for start in range(0, n, step):
        block = images[start : start + step]
        if shape != (height, width):
            grey = torch.from_numpy(np.array(block)).unsqueeze(1).float()
            block = F.adaptive_avg_pool2d(grey, shape)[:, 0].numpy()
        np.divide(block, np.float32(255), out=result[start : start + step])
    return result.reshape(n, -1)


def _step(pixels: int) -> int:
    """Count the images of so many pixels that are worked on at a time."""
    return max(1, _CHUNK_PIXELS // max(pixels, 1))
