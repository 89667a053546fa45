"""Two embeddings, and a relation module that learns how feature maps go together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from gansfp.losses.infonce import at_least_single

if TYPE_CHECKING:
    from torch import Tensor

    from gansfp.features.trainable import TrainableBackbone

_MAP = 5
"""Side of the map between the two convolutions."""


class MapBranch(nn.Module):
    """An image as a square feature map.

    Args:
        backbone: A convolutional network.
    """

    def __init__(self, backbone: TrainableBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        """Embed images, (B, H, W), as maps, (B, channels, h, h)."""
        cells = self.backbone.tokens(images).transpose(1, 2)
        side = math.isqrt(cells.shape[2])
        return cells.reshape(*cells.shape[:2], side, side)


class RelationModule(nn.Module):
    """Score how two feature maps go together (Sung et al., CVPR 2018).

    Both maps one above the other; twice a 3x3 convolution, batch norm, ReLU and a maximum pooling,
    to 5x5 and to 1x1; two linear layers. Batch norms keep the statistics of the last batch, as
    published (momentum 1).

    Args:
        channels: Of each map.
        hidden: Of the linear layers.
    """

    def __init__(self, channels: int, hidden: int = 8) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels, momentum=1.0),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(_MAP),
        )
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3),
            nn.BatchNorm2d(channels, momentum=1.0),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
        )
        self.score = nn.Sequential(
            nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def forward(self, real: Tensor, synthetic: Tensor) -> Tensor:
        """Compare pairs of maps, both (B, channels, h, w): logits of the relation, shape (B,)."""
        found = self.second(self.first(torch.cat([real, synthetic], dim=1)))
        return at_least_single(self.score(found).squeeze(1))
