"""What all sources do alike: crop and resize, refuse mixed sizes, find groups and copies."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Shape:
    """How a picture becomes a square one.

    Attributes:
        resize: Side in pixels of the square images wanted; None keeps the size.
        crop: Cut the middle square out of pictures that are not square.
    """

    resize: int | None = None
    crop: bool = False

    def __post_init__(self) -> None:
        if self.resize is not None and self.resize < 1:
            raise UserError(f"source.resize={self.resize}: must be positive")

    def apply(self, pixels: NDArray[np.uint8], name: object) -> NDArray[np.uint8]:
        """Crop and scale one picture.

        Args:
            pixels: Grey levels, uint8, shape (H, W).
            name: What an error calls it.

        Returns:
            Grey levels, uint8, square.

        Raises:
            UserError: It is not square, and `crop` is off.
        """
        height, width = pixels.shape
        if self.crop:
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            pixels = pixels[top : top + side, left : left + side]
        elif height != width:
            raise UserError(
                f"{name}: {width} x {height} pixels, not square; source.crop=true cuts the middle "
                "out"
            )
        return pixels if self.resize is None else resize_square(pixels, self.resize)


def resize_square(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale a square image: mean of the covered area when shrinking, bicubic when growing.

    Args:
        pixels: Grey levels, uint8, shape (H, H).
        side: The new side.

    Returns:
        Grey levels, uint8, shape (side, side).
    """
    height, width = pixels.shape
    if (height, width) == (side, side):
        return pixels
    shrinks = min(height, width) >= side
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((side, side), method))


def stack(images: Sequence[NDArray[np.uint8]], names: Sequence[object]) -> NDArray[np.uint8]:
    """Join square pictures into one array, uint8, shape (N, H, H).

    Raises:
        UserError: Their sizes differ.
    """
    for name, image in zip(names, images, strict=True):
        if image.shape != images[0].shape:
            raise UserError(
                f"{name}: {image.shape[1]} x {image.shape[0]} pixels, but {names[0]} has "
                f"{images[0].shape[1]} x {images[0].shape[0]}; set source.resize"
            )
    return np.stack(images)


def find_group(pattern: str, name: str) -> str:
    """Find the group in a name: the first bracketed part of a regular expression, or all of it.

    Raises:
        UserError: The expression is faulty or matches nothing.
    """
    try:
        found = re.search(pattern, name)
    except re.error as error:
        raise UserError(f"source.group_regex={pattern}: {error}") from error
    if found is None:
        raise UserError(f"{name}: source.group_regex={pattern} finds no group in it")
    return found.group(1) if found.re.groups and found.group(1) is not None else found.group(0)


def first_copies(hashes: Sequence[str]) -> list[int]:
    """For each image, the position of the first one with the same pixels: its own if unique."""
    first: dict[str, int] = {}
    return [first.setdefault(pixel_hash, k) for k, pixel_hash in enumerate(hashes)]
