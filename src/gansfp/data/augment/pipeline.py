"""A chain of transforms, and what a transform is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from gansfp.data.draws import derive, uniform
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class Transform(Protocol):
    """Changes each image of a batch by numbers of its own."""

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Transform a batch.

        Args:
            images: Grey values in [0, 1], float32, shape (B, H, W).
            keys: Where the numbers of each image come from (`gansfp.data.draws`), int64, shape
                (B,); no other transform has the same.

        Returns:
            Grey values in [0, 1], float32, shape (B, H', W').
        """
        ...


class Augment:
    """Transforms one after another; a pure function of the images and their keys.

    Training batches bring the keys as "draw": they stand for (seed, epoch, step, place in the
    batch), so that a resumed fit, or one on several devices, sees the same images.

    Args:
        transforms: Transforms by name, in the order in which they act; None leaves one out.
        views: How many versions of each image a training batch holds: "image", "image_2", ...
    """

    def __init__(
        self, transforms: Mapping[str, Transform | None] | None = None, views: int = 1
    ) -> None:
        if views < 1:
            raise UserError(f"data.augment.views={views}: must be at least 1")
        self.transforms = {name: t for name, t in (transforms or {}).items() if t is not None}
        self.views = views

    def __call__(self, images: Tensor, keys: Tensor, view: int = 0) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8, or float in [0, 1]; shape (B, H, W).
            keys: int64, shape (B,).
            view: Which version; each has its own numbers.

        Returns:
            Grey values in [0, 1], float32, shape (B, H', W').
        """
        images = unit_range(images)
        keys = derive(keys, view)
        for position, transform in enumerate(self.transforms.values()):
            images = transform(images, derive(keys, position))
        return images

    def columns(self, images: Mapping[str, Tensor], keys: Tensor) -> dict[str, Tensor]:
        """Augment the columns of a batch: each, and each view of it, by numbers of its own.

        Args:
            images: Images by name, each of shape (B, H, W) or, with several images at a place of
                the batch, (B, P, H, W).
            keys: int64, shape (B,).

        Returns:
            "image" as "image" and, with more views, "image_2", ...
        """
        return {
            name if view == 0 else f"{name}_{view + 1}": self._several(
                pixels, derive(keys, column), view
            )
            for column, (name, pixels) in enumerate(images.items())
            for view in range(self.views)
        }

    def _several(self, images: Tensor, keys: Tensor, view: int) -> Tensor:
        """Augment (B, H, W), or (B, P, H, W) with numbers of its own for each of the P images."""
        if images.ndim == 3:
            return self(images, keys, view)
        places = derive(keys[:, None], torch.arange(images.shape[1], device=keys.device))
        changed = self(images.flatten(0, 1), places.flatten(), view)
        return changed.view(*images.shape[:2], *changed.shape[1:])


def unit_range(images: Tensor) -> Tensor:
    """Bring grey values to [0, 1]: uint8 is divided by 255, float stays as it is.

    Args:
        images: uint8, or float in [0, 1]; any shape.

    Returns:
        float32.
    """
    scaled = images.float()
    return scaled / 255 if images.dtype == torch.uint8 else scaled


def chosen(keys: Tensor, p: float) -> Tensor:
    """Choose images with probability `p`: bool, shape (B,)."""
    return uniform(derive(keys, -1), 1)[:, 0] < p


def between(unit: Tensor, low: float, high: float) -> Tensor:
    """Stretch numbers from [0, 1) to [low, high)."""
    return low + (high - low) * unit


def check_probability(p: float, of: str) -> None:
    """Refuse what is no probability.

    Raises:
        UserError: It is not in [0, 1].
    """
    if not 0 <= p <= 1:
        raise UserError(f"p={p} of {of}: a probability is 0 to 1")
