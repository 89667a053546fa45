"""A small convolutional network on an image and its enhancements."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from gansfp.features.enhance import enhance

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.features.enhance import Filter


class SmallCNN(nn.Module):
    """Blocks of a 3x3 convolution, ReLU and 2x2 maximum pooling; global average; one logit.

    Args:
        inputs: Channels of the input.
        channels: Of each block.
    """

    def __init__(self, inputs: int, channels: Sequence[int] = (32, 64, 128)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in zip([inputs, *channels], channels, strict=False):
            layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1], 1)

    def maps(self, images: Tensor) -> Tensor:
        """Give the last feature maps of images, (B, inputs, H, W)."""
        found: Tensor = self.body(images)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Score images, (B, inputs, H, W): logits of "used", shape (B,)."""
        logits: Tensor = self.head(self.maps(images).mean(dim=(2, 3))).squeeze(1)
        return logits


def enhanced(images: NDArray[np.uint8], filters: Sequence[Filter]) -> Tensor:
    """Lay the enhancements of grey images side by side as channels.

    Args:
        images: Shape (N, H, W).
        filters: Enhancements; `none` is the image itself.

    Returns:
        In [0, 1], fp32, shape (N, filters, H, W).
    """
    channels = [torch.from_numpy(enhance(images, name)) for name in filters]
    return torch.stack(channels, dim=1).float() / 255
