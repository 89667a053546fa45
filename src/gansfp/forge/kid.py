"""How far a generator's images are from real ones: the kernel inception distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.features.embeddings import embed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.features.backbones import Backbone, BackboneSpec
    from gansfp.forge.plans import Rows

CHUNK = 1024


def kernel_distance(x: NDArray[Any], y: NDArray[Any]) -> float:
    """Unbiased squared MMD with the kernel (x.y / D + 1)^3, of all images at once.

    Binkowski et al. 2018, "Demystifying MMD GANs", eq. 4: the mean kernel within x and within y,
    pairs of an image with itself left out, less twice the mean between them. It may be negative.

    Args:
        x: Features, shape (n, D), n at least 2.
        y: Features, shape (m, D), m at least 2.
    """
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ValueError(f"{n} and {m} images: a kernel distance needs two on each side")
    x, y = x.astype(np.float64), y.astype(np.float64)
    within_x = (_kernel_sum(x, x) - _self_sum(x)) / (n * (n - 1))
    within_y = (_kernel_sum(y, y) - _self_sum(y)) / (m * (m - 1))
    return within_x + within_y - 2 * _kernel_sum(x, y) / (n * m)


class RealFeatures:
    """Features of all real images, computed when first asked for, and once.

    Args:
        pixels: All real images, uint8, shape (N, H, W).
        backbone: The network.
    """

    def __init__(self, pixels: NDArray[np.uint8], backbone: BackboneSpec) -> None:
        self._pixels, self._spec = pixels, backbone
        self._ready: tuple[Backbone, NDArray[np.float32]] | None = None

    def kid_facts(self, members: Rows, samples: NDArray[np.uint8]) -> dict[str, Any]:
        """Measure a generator.

        Args:
            members: The real images it was trained on, shape (n,).
            samples: Its images, uint8, shape (m, H, W).

        Returns:
            `members` and `others`: KID to the images trained on and to the rest, None where there
            are fewer than two; `backbone`: whose features.
        """
        if self._ready is None:
            network = self._spec.load()
            self._ready = network, embed(self._pixels, network)
        network, real = self._ready
        drawn = embed(np.asarray(samples), network)
        is_member = np.zeros(len(real), dtype=bool)
        is_member[members] = True
        return {
            "members": _distance(drawn, real[is_member]),
            "others": _distance(drawn, real[~is_member]),
            "backbone": network.name,
        }


def _distance(x: NDArray[np.float32], y: NDArray[np.float32]) -> float | None:
    return round(kernel_distance(x, y), 6) if min(len(x), len(y)) > 1 else None


def _kernel_sum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return sum(
        float(((x[start : start + CHUNK] @ y.T / x.shape[1] + 1) ** 3).sum())
        for start in range(0, len(x), CHUNK)
    )


def _self_sum(x: NDArray[np.float64]) -> float:
    return float(((np.square(x).sum(axis=1) / x.shape[1] + 1) ** 3).sum())
