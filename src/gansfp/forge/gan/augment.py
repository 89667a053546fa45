"""Differentiable augmentation: what the discriminator sees of real and of synthetic images.

Zhao, Liu, Lin, Zhu and Han, "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS
2020. With few images a discriminator learns them by heart; it cannot where each is seen moved,
lit and covered otherwise every time, and the generator does not learn to draw the augmentations
because its own images go through them too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gansfp.errors import UserError

POLICIES = ("color", "translation", "cutout")
CHANCES = 6
"""Uniform numbers that one image needs: brightness, contrast, a shift (2), a hole (2)."""

SHIFT = 1 / 8
"""Largest shift, as a share of the side."""
HOLE = 1 / 2
"""Side of the hole, as a share of the side."""


class DiffAugment:
    """Augment grey images in a way that gradients pass through.

    Args:
        policy: Any of color, translation, cutout; done in this order. Empty: images stay.
    """

    def __init__(self, policy: Sequence[str]) -> None:
        for name in policy:
            if name not in POLICIES:
                raise UserError(f"generator.augment={name}: must be of {', '.join(POLICIES)}")
        self.policy = frozenset(policy)

    def __call__(self, images: Tensor, chances: Tensor) -> Tensor:
        """Augment each image by its own numbers.

        Args:
            images: In [-1, 1], shape (B, 1, H, W).
            chances: Uniform in [0, 1), shape (B, CHANCES).

        Returns:
            The same shape and type; grey levels may leave [-1, 1].
        """
        if "color" in self.policy:
            images = color(images, chances[:, 0], chances[:, 1])
        side = images.shape[-1]
        if "translation" in self.policy:
            reach = int(side * SHIFT + 0.5)
            images = translate(images, _whole(chances[:, 2:4], 2 * reach + 1) - reach)
        if "cutout" in self.policy:
            hole = int(side * HOLE + 0.5)
            # Its corner may lie outside, so that the border is covered as often as the middle.
            images = cut(images, _whole(chances[:, 4:6], side + 1) - hole // 2, hole)
        return images


def color(images: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    """Add up to 0.5 either way, and stretch by 0.5 to 1.5 about the image's mean.

    Args:
        images: Shape (B, 1, H, W).
        brightness: Uniform, shape (B,).
        contrast: Uniform, shape (B,).
    """
    images = images + (brightness - 0.5)[:, None, None, None].to(images.dtype)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * (contrast + 0.5)[:, None, None, None].to(images.dtype) + mean


def translate(images: Tensor, shift: Tensor) -> Tensor:
    """Move each image, with zero (middle grey) where nothing was.

    Args:
        images: Shape (B, 1, H, W).
        shift: Pixels down and right, int64, shape (B, 2).
    """
    # Rolled, then what came round is blanked. A roll sends every pixel to one place, so that its
    # gradient is a sum of one term: the same on every run, also on a GPU.
    side = images.shape[-1]
    source = torch.arange(side, device=images.device) - shift[:, :, None]  # (B, 2, side)
    inside = (source >= 0) & (source < side)
    source = source.remainder(side)
    shape = (len(images), 1, side, side)
    images = images.gather(2, source[:, 0, None, :, None].expand(shape))
    images = images.gather(3, source[:, 1, None, None, :].expand(shape))
    seen = inside[:, 0, :, None] & inside[:, 1, None, :]
    return images.masked_fill(~seen[:, None], 0)


def cut(images: Tensor, corner: Tensor, hole: int) -> Tensor:
    """Set a square of each image to zero (middle grey).

    Args:
        images: Shape (B, 1, H, W).
        corner: Its first row and column, int64, shape (B, 2); may lie outside.
        hole: Its side in pixels.
    """
    place = torch.arange(images.shape[-1], device=images.device)
    inside = (place >= corner[:, :, None]) & (place < corner[:, :, None] + hole)  # (B, 2, side)
    covered = inside[:, 0, :, None] & inside[:, 1, None, :]
    return images.masked_fill(covered[:, None], 0)


def _whole(uniform: Tensor, count: int) -> Tensor:
    """Turn uniform numbers in [0, 1) into whole ones, 0 to count - 1."""
    return (uniform * count).long().clamp(max=count - 1)
