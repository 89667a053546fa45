"""How alike two images are, for all pairs of two sets, described by plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from gansfp.errors import UserError
from gansfp.features.backbones import Backbone, BackboneSpec
from gansfp.features.enhance import Filter, enhance
from gansfp.features.pairwise import cosine_matrix, jaccard_matrix
from gansfp.features.representations import Pixels, Representation, from_spec
from gansfp.features.ssim import ssim_matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Images = NDArray[np.uint8]
    Matrix = NDArray[np.float32]


class Similarity(Protocol):
    """A symmetric measure of likeness; higher is more alike."""

    def matrix(self, left: Images, right: Images) -> Matrix:
        """Compare grey images, uint8 (n, H, W) and (m, H, W): float32, shape (n, m)."""

    def spec(self) -> dict[str, Any]:
        """Describe the measure by plain values, for `similarity_from_spec`."""


@dataclass
class Cosine:
    """Cosine of vectors.

    Attributes:
        representation: What is compared.
        filters: Enhancements before it; the mean of their similarities is taken. Empty: none.
    """

    representation: Representation = field(default_factory=Pixels)
    filters: Sequence[Filter] = ()

    def matrix(self, left: Images, right: Images) -> Matrix:
        """Compare images."""

        def compare(one: Images, two: Images) -> Matrix:
            return cosine_matrix(self.representation.encode(one), self.representation.encode(two))

        return _mean_over_filters(self.filters, compare, left, right)

    def spec(self) -> dict[str, Any]:
        """Describe the measure."""
        shown = {"representation": self.representation.spec(), "filters": list(self.filters)}
        return {"kind": "cosine", **shown}


@dataclass
class Jaccard:
    """Jaccard index of the features above their own mean (ZOQ, run 1427).

    Attributes:
        representation: Its vectors are binarised at the mean of each.
        filters: Enhancements before it; the mean of their similarities is taken.
    """

    representation: Representation = field(default_factory=Pixels)
    filters: Sequence[Filter] = ()

    def matrix(self, left: Images, right: Images) -> Matrix:
        """Compare images."""

        def compare(one: Images, two: Images) -> Matrix:
            return jaccard_matrix(self._binary(one), self._binary(two))

        return _mean_over_filters(self.filters, compare, left, right)

    def spec(self) -> dict[str, Any]:
        """Describe the measure."""
        shown = {"representation": self.representation.spec(), "filters": list(self.filters)}
        return {"kind": "jaccard", **shown}

    def _binary(self, images: Images) -> NDArray[np.bool_]:
        vectors = self.representation.encode(images)
        return np.asarray(vectors > vectors.mean(axis=1, keepdims=True))


@dataclass
class SSIM:
    """Mean structural similarity of the images themselves.

    Attributes:
        window: Side of its window, pixels.
        filters: Enhancements before it; the mean of their similarities is taken.
        device: Where pairs are worked on; `auto` is the GPU where there is one.
    """

    window: int = 7
    filters: Sequence[Filter] = ()
    device: str = "auto"

    def matrix(self, left: Images, right: Images) -> Matrix:
        """Compare images."""

        def compare(one: Images, two: Images) -> Matrix:
            return ssim_matrix(one, two, self.window, device=_device(self.device))

        return _mean_over_filters(self.filters, compare, left, right)

    def spec(self) -> dict[str, Any]:
        """Describe the measure."""
        return {"kind": "ssim", **asdict(self), "filters": list(self.filters)}


@dataclass
class MapSSIM:
    """Structural similarity of what a network sees: its last feature maps, averaged over channels.

    Each map is stretched to 0..255 and compared as an image is (ZOQ, run 1355).

    Attributes:
        backbone: Which network and weights; loaded at the first use.
        window: Side of the window, cells of the map; at most its size.
        filters: Enhancements before the network; the mean of their similarities is taken.
        batch_size: Images at a time.
    """

    backbone: BackboneSpec = field(default_factory=BackboneSpec)
    window: int = 7
    filters: Sequence[Filter] = ()
    batch_size: int = 32
    _loaded: Backbone | None = field(default=None, init=False, repr=False, compare=False)

    def matrix(self, left: Images, right: Images) -> Matrix:
        """Compare images."""

        def compare(one: Images, two: Images) -> Matrix:
            maps = self.maps(one), self.maps(two)
            return ssim_matrix(*maps, self.window, device=_device(self.backbone.device))

        return _mean_over_filters(self.filters, compare, left, right)

    def maps(self, images: Images) -> Images:
        """Show what the network sees: uint8, shape (N, h, w)."""
        if self._loaded is None:
            self._loaded = self.backbone.load()
        parts = [
            self._loaded.maps(torch.from_numpy(np.array(images[start : start + self.batch_size])))
            .mean(dim=1)
            .cpu()
            for start in range(0, max(len(images), 1), self.batch_size)
        ]
        return stretched(torch.cat(parts))

    def spec(self) -> dict[str, Any]:
        """Describe the measure."""
        return {
            "kind": "map_ssim",
            "backbone": asdict(self.backbone),
            "window": self.window,
            "filters": list(self.filters),
            "batch_size": self.batch_size,
        }


def stretched(maps: torch.Tensor) -> Images:
    """Show maps, fp32 (N, h, w), as grey images, uint8: each from its smallest to its largest."""
    low, high = (maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True))
    levels = 255 * (maps - low) / (high - low).clamp(min=torch.finfo(maps.dtype).tiny)
    return np.asarray(levels.round().to(torch.uint8).numpy())


def similarity_from_spec(spec: dict[str, Any]) -> Similarity:
    """Build the similarity that `spec` described.

    Raises:
        UserError: There is no such kind.
    """
    options = dict(spec)
    kind = options.pop("kind", None)
    if kind == "ssim":
        return SSIM(**options)
    if kind == "map_ssim":
        return MapSSIM(backbone=BackboneSpec(**options.pop("backbone")), **options)
    if kind in ("cosine", "jaccard"):
        representation = from_spec(options.pop("representation"))
        return (Cosine if kind == "cosine" else Jaccard)(representation, **options)
    raise UserError(f"similarity {kind!r}: choose cosine, jaccard, ssim or map_ssim")


def _mean_over_filters(
    filters: Sequence[Filter],
    compare: Callable[[Images, Images], Matrix],
    left: Images,
    right: Images,
) -> Matrix:
    names = filters or ("none",)
    total = compare(enhance(left, names[0]), enhance(right, names[0]))
    for name in names[1:]:
        total += compare(enhance(left, name), enhance(right, name))
    return np.asarray(total / np.float32(len(names)), dtype=np.float32)


def _device(device: str) -> str:
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
