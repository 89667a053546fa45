"""Grey images as data URIs, and the difference of two."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

LARGEST = 160
"""Longest side that goes into a page; larger images are reduced, which the page says."""


def difference(first: Pixels, second: Pixels) -> Pixels:
    """Show where two images differ: mid-grey where they agree, brighter where `first` is.

    Args:
        first: Grey values, uint8, shape (H, W).
        second: The same shape.

    Returns:
        `128 + (first - second) / 2`, rounded, uint8, shape (H, W): a fixed scale, so that pairs
        can be compared.

    Raises:
        ValueError: The shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"shapes {first.shape} and {second.shape} differ")
    halves = np.rint(128 + (first.astype(np.float64) - second) / 2)
    return np.clip(halves, 0, 255).astype(np.uint8)


def data_uri(pixels: Pixels, largest: int = LARGEST) -> str:
    """Encode an image as a PNG inside a URI.

    Args:
        pixels: Grey values, uint8, shape (H, W).
        largest: A longer side is reduced to this (by averaging).
    """
    image = Image.fromarray(np.ascontiguousarray(pixels))
    scale = largest / max(image.size)
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
