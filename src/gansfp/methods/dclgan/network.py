"""Generator, patch discriminator and projections of the contrastive translation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

SLOPE = 0.2


class Translator(nn.Module):
    """Residual generator: 7x7 convolution, two of stride 2, residual blocks, bilinear upsampling.

    Args:
        width: Channels of the first layer; twice and four times as many below.
        blocks: Residual blocks.

    Attributes:
        encoder: Parts whose outputs are compared patch by patch.
        decoder: The rest.
    """

    def __init__(self, width: int = 64, blocks: int = 6) -> None:
        super().__init__()
        half = blocks // 2
        self.encoder = nn.ModuleList(
            [
                nn.Sequential(nn.ReflectionPad2d(3), *_convolved(1, width, 7)),
                nn.Sequential(*_convolved(width, 2 * width, 3, stride=2, padding=1)),
                nn.Sequential(*_convolved(2 * width, 4 * width, 3, stride=2, padding=1)),
                nn.Sequential(*(Residual(4 * width) for _ in range(half))),
            ]
        )
        self.decoder = nn.Sequential(
            *(Residual(4 * width) for _ in range(blocks - half)),
            *_upsampled(4 * width, 2 * width),
            *_upsampled(2 * width, width),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, 1, 7),
            nn.Tanh(),
        )
        self.dims = [width, 2 * width, 4 * width, 4 * width]

    def features(self, images: Tensor) -> list[Tensor]:
        """Give the encoder's maps of images in [-1, 1], (B, 1, H, W)."""
        maps, x = [], images
        for part in self.encoder:
            x = part(x)
            maps.append(x)
        return maps

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Translate images in [-1, 1], (B, 1, H, W); also give the encoder's maps."""
        maps = self.features(images)
        return self.decoder(maps[-1]), maps


class PatchDiscriminator(nn.Module):
    """4x4 convolutions with spectral norm and leaky ReLU, one logit a patch.

    Args:
        width: Channels of the first layer; twice, four and eight times as many below.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = (1, width, 2 * width, 4 * width, 8 * width)
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2 if b < 8 * width else 1, padding=1))
            for a, b in zip(channels[:-1], channels[1:], strict=True)  # noqa: RUF007
        )
        self.last = spectral_norm(nn.Conv2d(channels[-1], 1, 4, padding=1))

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Judge images in [-1, 1], (B, 1, H, W): logits, and the maps after each activation."""
        maps, x = [], images
        for layer in self.layers:
            x = F.leaky_relu(layer(x), SLOPE)
            maps.append(x)
        return self.last(x), maps


def initialise(network: nn.Module, gain: float = 0.02) -> None:
    """Draw the weights of convolutions and linear layers by Xavier's normal rule; biases are 0."""
    for layer in network.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_normal_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class PatchProjection(nn.Module):
    """A perceptron for each layer, from patches of its map to unit vectors.

    Args:
        dims: Channels of the maps.
        width: Size of the vectors.
    """

    def __init__(self, dims: Sequence[int], width: int = 256) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, width), nn.ReLU(), nn.Linear(width, width)) for dim in dims
        )

    def forward(self, maps: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """Project some places of each map.

        Args:
            maps: Of each layer, (B, C, H, W).
            places: Of each layer, flat positions, int64, (P,).

        Returns:
            Of each layer, unit vectors, (B, P, width).
        """
        return [
            F.normalize(head(found.flatten(2)[:, :, where].transpose(1, 2)), dim=2)
            for head, found, where in zip(self.heads, maps, places, strict=True)
        ]


class Residual(nn.Module):
    """Two 3x3 convolutions with instance norm, and a path around them.

    Args:
        channels: In and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReflectionPad2d(1),
            *_convolved(channels, channels, 3),
            nn.ReflectionPad2d(1),
            *_convolved(channels, channels, 3)[:-1],
        )

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape, (B, channels, H, W)."""
        changed: Tensor = x + self.body(x)
        return changed


def attention_map(maps: Sequence[Tensor], side: int) -> Tensor:
    """Average the absolute activations over channels, then over maps scaled to one size.

    Args:
        maps: (B, C, H, W) each; each one's attention is divided by its largest value.
        side: Of the result, pixels.

    Returns:
        In [0, 1], shape (B, side, side).
    """
    scaled = []
    for found in maps:
        strength = found.float().abs().mean(dim=1, keepdim=True)
        strength = F.interpolate(strength, (side, side), mode="bilinear", align_corners=False)
        scaled.append(strength / strength.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12))
    return torch.cat(scaled, dim=1).mean(dim=1)


def _convolved(
    inside: int, outside: int, kernel: int, stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    return [
        nn.Conv2d(inside, outside, kernel, stride, padding),
        nn.InstanceNorm2d(outside),
        nn.ReLU(),
    ]


def _upsampled(inside: int, outside: int) -> list[nn.Module]:
    up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    return [up, *_convolved(inside, outside, 3, padding=1)]
