"""The 48 handcrafted values of Neural Nexus, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gansfp.features.handcrafted.filters import ANGLES, FREQUENCIES, gabor_moments, wavelet_energies
from gansfp.features.handcrafted.glcm import PROPERTIES, glcm_properties
from gansfp.features.handcrafted.shapes import first_order, otsu_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = (
    *(f"first_{name}" for name in ("mean", "variance", "skewness", "kurtosis")),
    *(f"glcm_{name}_{angle}" for name in PROPERTIES for angle in (0, 45, 90, 135)),
    *(f"gabor_{f}_{a:.0f}_{m}" for f in FREQUENCIES for a in ANGLES for m in ("mean", "variance")),
    *(f"wavelet_{name}" for name in ("a2", "h2", "v2", "d2", "h1", "v1", "d1")),
    *(f"otsu_{name}" for name in ("count", "area_mean", "area_sd")),
)
"""What `descriptors` gives, in its order."""


def descriptors(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Describe grey images by hand (Neural Nexus, ImageCLEFmedical GANs 2025, run 1881).

    Args:
        images: Shape (N, H, W), at least 11 pixels high and wide.

    Returns:
        Shape (N, 48), columns as in `NAMES`.
    """
    parts = (first_order, glcm_properties, gabor_moments, wavelet_energies, otsu_components)
    return np.concatenate([part(images) for part in parts], axis=1)
