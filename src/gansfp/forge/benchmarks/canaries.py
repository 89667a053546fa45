"""Canaries: marks painted into real images before training, to see whether they come back.

After Carlini et al. 2019, "The secret sharer": a generator that reproduces a mark that no other
patient has was taught it by that patient. The marked controls are never trained on; what a method
finds in them is the mark's doing, not the training's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from gansfp.forge.seeds import derive_seed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.base import RealImages
    from gansfp.forge.plans import Rows

RADIUS = 1 / 14
"""Mean radius of a mark over the side of the image."""

SMALLEST = 2.0
"""Least mean radius in pixels: below it, no shape is left."""

LOBES = (3, 4, 5)
DEPTH = 0.45
"""How far the lobes reach beyond the mean radius, as a share of it."""

EDGE = 0.7
"""Width of the soft edge on either side of the outline, pixels."""

LEVEL = 250.0
"""Grey level of the inside: that of dense bone in the usual windows."""


def paint_rows(source: RealImages, rows: Rows, seed: int) -> RealImages:
    """Paint a mark into some images.

    Args:
        source: Real images; left as they are.
        rows: Those to paint.
        seed: With an image's name, decides the mark's place and shape.

    Returns:
        The images, with names, groups, hashes and covariates of the source.
    """
    if not len(rows):
        return source
    pixels = source.pixels.copy()
    for row in rows:
        pixels[row] = paint(pixels[row], derive_seed(seed, "canary", source.names[row]))
    return replace(source, pixels=pixels)


def paint(image: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Draw a bright, soft-edged nodule with three to five lobes inside the body.

    Args:
        image: Grey levels, shape (H, W).
        seed: Decides place and shape.
    """
    opacity = mark(image, seed)
    grey = image.astype(np.float64)
    painted = grey + opacity * np.maximum(LEVEL - grey, 0)
    return np.round(painted).astype(np.uint8)


def mark(image: NDArray[np.uint8], seed: int) -> NDArray[np.float64]:
    """Opacity of the mark of an image, in [0, 1], shape (H, W).

    The outline is r(a) = R (1 + DEPTH cos(k a + phase)), with k lobes, about a place that is at
    least R (1 + DEPTH) inside the body where the body is that large.
    """
    rng = np.random.default_rng(seed)
    radius = max(SMALLEST, RADIUS * min(image.shape)) * rng.uniform(0.9, 1.1)
    row, column = _place(image, radius * (1 + DEPTH) + EDGE, rng)
    lobes, phase = rng.choice(LOBES), rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    angle = np.arctan2(y - row, x - column)
    outline = radius * (1 + DEPTH * np.cos(lobes * angle + phase))
    inside = (outline - np.hypot(y - row, x - column)) / (2 * EDGE) + 0.5
    t = np.clip(inside, 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def body(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Find the body: the largest bright piece, its holes (the lungs) filled, shape (H, W)."""
    pieces, count = ndimage.label(image > image.mean())
    if not count:
        return np.ones(image.shape, dtype=bool)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(pieces == sizes.argmax()))


def _place(image: NDArray[np.uint8], margin: float, rng: np.random.Generator) -> tuple[int, int]:
    """Choose a pixel at least `margin` inside body and image, or else the deepest one."""
    depth = ndimage.distance_transform_edt(np.pad(body(image), 1))[1:-1, 1:-1]
    places = np.argwhere(depth >= min(margin, depth.max()))
    row, column = places[rng.integers(len(places))]
    return int(row), int(column)
