"""A small encoder and a decoder for grey images, and copies of images to learn from."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as F

from gansfp.data.draws import derive, normal, uniform

if TYPE_CHECKING:
    from torch import Tensor

_GROUP, _CELLS, _STAGES = 8, 4, 3
_SIGMA, _NOISE = 1, 2  # streams of random numbers


class Encoder(nn.Module):
    """Grey images to unit vectors: strided convolutions, a 4x4 mean, one linear layer.

    Places are kept to a quarter of the side, so that where something is counts.

    Args:
        width: Channels of the first stage, at half the side; each of three has twice as many.
        dim: Length of the vectors.
    """

    def __init__(self, width: int = 16, dim: int = 64) -> None:
        super().__init__()
        widths = [1, *(width * 2**number for number in range(_STAGES))]
        layers: list[nn.Module] = []
        for inside, outside in pairwise(widths):
            layers += [
                nn.Conv2d(inside, outside, 4, stride=2, padding=1),
                nn.GroupNorm(max(1, outside // _GROUP), outside),
                nn.SiLU(),
            ]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(_CELLS))
        self.head = nn.Linear(widths[-1] * _CELLS**2, dim)

    def forward(self, images: Tensor) -> Tensor:
        """Map grey values in [0, 1], (B, H, W), to unit vectors, (B, dim), in fp32."""
        maps = self.body(2 * images[:, None] - 1)
        return F.normalize(self.head(maps.flatten(1)).float(), dim=1)


class Bottleneck(nn.Module):
    """An autoencoder: what it restores is an image without its finest detail.

    Args:
        width: Channels of the first stage; each of three has twice as many.
        channels: Of the code, which has an eighth of the side.
    """

    def __init__(self, width: int = 16, channels: int = 4) -> None:
        super().__init__()
        widths = [1, *(width * 2**number for number in range(_STAGES))]
        down: list[nn.Module] = []
        for inside, outside in pairwise(widths):
            down += [nn.Conv2d(inside, outside, 4, stride=2, padding=1), nn.SiLU()]
        up: list[nn.Module] = [nn.Conv2d(channels, widths[-1], 1), nn.SiLU()]
        for inside, outside in pairwise(widths[::-1]):
            up += [nn.ConvTranspose2d(inside, outside, 4, stride=2, padding=1), nn.SiLU()]
        self.body = nn.Sequential(*down, nn.Conv2d(widths[-1], channels, 1), *up[:-1])

    def forward(self, images: Tensor) -> Tensor:
        """Restore grey values in [0, 1], (B, H, W), sides multiples of 8."""
        restored: Tensor = self.body(2 * images[:, None] - 1)[:, 0]
        return (restored + 1) / 2


def noised(images: Tensor, keys: Tensor, largest: float) -> Tensor:
    """Go some way into a variance-preserving diffusion (Ho, Jain and Abbeel, NeurIPS 2020).

    x' = sqrt(1 - s^2) x + s e in the range [-1, 1], e standard normal, s uniform from a tenth of
    the largest to the largest, one for each image.

    Args:
        images: Grey values in [0, 1], shape (B, H, W).
        keys: Where the numbers come from (`gansfp.data.draws`), shape (B,).
        largest: Of s, up to 1.

    Returns:
        Of the same shape; not clipped.
    """
    sigma = largest * (0.1 + 0.9 * uniform(derive(keys, _SIGMA), 1))[:, :, None]
    noise = normal(derive(keys, _NOISE), images[0].numel()).view_as(images)
    level = 2 * images - 1
    return (((1 - sigma.square()).sqrt() * level + sigma * noise) + 1) / 2
