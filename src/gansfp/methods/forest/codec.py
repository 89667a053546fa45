"""An autoencoder without a network: principal components of the synthetic images' pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from sklearn.decomposition import PCA

from gansfp.errors import UserError
from gansfp.features.representations import Pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Images = NDArray[np.uint8]
    Array = NDArray[np.float64]


class Codec(Protocol):
    """Something that is fitted on images, encodes them, and says how well it restores them."""

    def fit(self, images: Images) -> None:
        """Learn from images, shape (n, H, W)."""

    def encode(self, images: Images) -> tuple[Array, Array]:
        """Give latents, shape (n, D), and mean squared errors of the restored images, (n,)."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give what was learnt."""

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take what `arrays` gave."""

    def spec(self) -> dict[str, Any]:
        """Describe the codec by plain values, for `codec_from_spec`."""


class LinearCodec:
    """The best linear autoencoder of a given width."""

    def __init__(self, latent: int = 512, size: int | None = None, seed: int = 42) -> None:
        """Choose width, side and seed.

        Args:
            latent: Components kept, at most one less than there are images to learn from.
            size: Side that images are averaged down to, pixels; None, or larger than they are: as
                they are.
            seed: Of the randomised solver that scikit-learn takes for large problems.
        """
        self.latent, self.size, self.seed = latent, size, seed
        self._learnt: dict[str, NDArray[Any]] = {}

    def fit(self, images: Images) -> None:
        """Find the components; see `Codec`."""
        pixels = self._pixels(images)
        count = min(self.latent, len(pixels) - 1, pixels.shape[1])
        pca = PCA(count, random_state=self.seed).fit(pixels)
        self._learnt = {"mean": pca.mean_, "components": pca.components_}

    def encode(self, images: Images) -> tuple[Array, Array]:
        """Project and restore; see `Codec`."""
        centred = self._pixels(images) - self._learnt["mean"]
        latents = centred @ self._learnt["components"].T
        errors = np.square(centred - latents @ self._learnt["components"]).mean(axis=1)
        return latents.astype(np.float64), errors.astype(np.float64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give what was learnt."""
        return dict(self._learnt)

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take what `arrays` gave."""
        self._learnt = dict(arrays)

    def spec(self) -> dict[str, Any]:
        """Describe the codec."""
        return {"kind": "linear", "latent": self.latent, "size": self.size, "seed": self.seed}

    def _pixels(self, images: Images) -> NDArray[np.float32]:
        smaller = self.size is not None and self.size < min(images.shape[1:])
        return Pixels(self.size if smaller else None).encode(images)


def codec_from_spec(spec: dict[str, Any]) -> Codec:
    """Build the codec that `spec` described.

    Raises:
        UserError: There is no such kind.
    """
    options = dict(spec)
    if (kind := options.pop("kind", None)) != "linear":
        raise UserError(f"codec {kind!r}: choose linear")
    return LinearCodec(**options)
