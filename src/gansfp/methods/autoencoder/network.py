"""Three autoencoders: vision transformer, convolutions, convolutions with residual blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from gansfp.data.augment import unit_range
from gansfp.errors import UserError
from gansfp.features.trainable import TrainableBackbone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

SLOPE = 0.1
"""Of every leaky ReLU."""


class Autoencoder(nn.Module, ABC):
    """An encoder and a decoder for grey images of one size.

    Args:
        size: Side that images are scaled to, pixels.
        latent: Size of the latent vector.
        multiple: What `size` must be a multiple of.
    """

    def __init__(self, size: int, latent: int, multiple: int) -> None:
        super().__init__()
        if size < multiple or size % multiple:
            raise UserError(f"method.size={size}: must be a multiple of {multiple}")
        self.size, self.latent = size, latent

    def scaled(self, images: Tensor) -> Tensor:
        """Bring images, uint8 or float in [0, 1], (B, H, W), to floats in [0, 1], (B, 1, s, s)."""
        grey = unit_range(images).unsqueeze(1)
        if grey.shape[-1] != self.size or grey.shape[-2] != self.size:
            side = (self.size, self.size)
            grey = F.interpolate(grey, side, mode="bilinear", antialias=True, align_corners=False)
        return grey.to(next(self.parameters()).dtype)

    @abstractmethod
    def target(self, images: Tensor) -> Tensor:
        """Give what the decoder is to restore, (B, channels, s, s)."""

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Embed images, (B, H, W), as latents, (B, latent)."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Restore images, (B, channels, s, s), from latents."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Give latents and restored images."""
        latents = self.encode(images)
        return latents, self.decode(latents)


class ViTAutoencoder(Autoencoder):
    """A vision transformer, and a decoder of transposed convolutions (Neural Nexus, run 1878).

    A 1x1 convolution makes three channels of grey values in [-1, 1], the transformer sees them at
    its own size, a linear layer gives the latent. The decoder starts at a 32nd of the side with 256
    channels and doubles it five times, with a residual block after each; tanh.

    Args:
        backbone: A timm vision transformer.
        weights: Where its weights come from; a file may hold those of another data set.
        size: Side of the restored images, a multiple of 32.
        latent: Size of the latent vector.
    """

    def __init__(
        self,
        backbone: str = "vit_base_patch16_224",
        weights: str = "none",
        size: int = 256,
        latent: int = 512,
    ) -> None:
        super().__init__(size, latent, multiple=32)
        self.colour = nn.Conv2d(1, 3, kernel_size=1)
        self.backbone = TrainableBackbone(backbone, weights)
        self.bottleneck = nn.Linear(self.backbone.dim, latent)
        self._side = size // 32
        self.expand = nn.Linear(latent, 256 * self._side**2)
        self.decoder = nn.Sequential(
            *_rising((256, 128, 64, 32, 16, 8)), nn.Conv2d(8, 1, 3, padding=1), nn.Tanh()
        )

    def target(self, images: Tensor) -> Tensor:
        """Give grey values in [-1, 1], (B, 1, s, s)."""
        return 2 * self.scaled(images) - 1

    def encode(self, images: Tensor) -> Tensor:
        """Embed; see `Autoencoder`."""
        coloured = self.colour(self.target(images))
        side = (self.backbone.size, self.backbone.size)
        if coloured.shape[-2:] != side:
            coloured = F.interpolate(coloured, side, mode="bilinear", align_corners=False)
        latents: Tensor = self.bottleneck(self.backbone.network(coloured))
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Restore; see `Autoencoder`."""
        start = self.expand(latents).view(len(latents), 256, self._side, self._side)
        restored: Tensor = self.decoder(start)
        return restored


class ConvAutoencoder(Autoencoder):
    """Strided convolutions down, transposed ones up (Neural Nexus, runs 1880 and 1881).

    Encoder: 3x3 convolutions of stride 2 with 32, 64, 128 and 256 filters, global mean, dense layer
    with ReLU. Decoder: dense layer to an 8th of the side with 128 channels, three transposed
    convolutions with 128, 64 and 32 filters, a convolution to three channels, sigmoid. Grey values
    in [0, 1] are repeated to three channels.

    Args:
        size: Side of the images, a multiple of 16.
        latent: Size of the latent vector.
        residual: A residual block after each (transposed) convolution.
        filters: Of the encoder.
    """

    def __init__(
        self,
        size: int = 128,
        latent: int = 512,
        residual: bool = True,
        filters: Sequence[int] = (32, 64, 128, 256),
    ) -> None:
        super().__init__(size, latent, multiple=16)
        layers: list[nn.Module] = []
        for inside, outside in zip((3, *filters), filters, strict=False):
            layers.append(nn.Conv2d(inside, outside, 3, stride=2, padding=1))
            layers.append(ResidualBlock(outside) if residual else nn.LeakyReLU(SLOPE))
        self.encoder = nn.Sequential(*layers)
        self.bottleneck = nn.Linear(filters[-1], latent)
        self._side = size // 8
        self.expand = nn.Linear(latent, 128 * self._side**2)
        self.decoder = nn.Sequential(
            *_rising((128, 128, 64, 32), residual), nn.Conv2d(32, 3, 3, padding=1), nn.Sigmoid()
        )

    def target(self, images: Tensor) -> Tensor:
        """Give grey values in [0, 1], three times, (B, 3, s, s)."""
        return self.scaled(images).expand(-1, 3, -1, -1)

    def encode(self, images: Tensor) -> Tensor:
        """Embed; see `Autoencoder`."""
        return torch.relu(self.bottleneck(self.encoder(self.target(images)).mean(dim=(2, 3))))

    def decode(self, latents: Tensor) -> Tensor:
        """Restore; see `Autoencoder`."""
        start = torch.relu(self.expand(latents)).view(len(latents), 128, self._side, self._side)
        restored: Tensor = self.decoder(start)
        return restored


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a path around them; leaky ReLU.

    Args:
        channels: In and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape, (B, channels, H, W)."""
        return F.leaky_relu(x + self.body(x), SLOPE)


def _rising(channels: Sequence[int], residual: bool = True) -> list[nn.Module]:
    """Double the side from each number of channels to the next."""
    layers: list[nn.Module] = []
    for inside, outside in pairwise(channels):
        layers.append(nn.ConvTranspose2d(inside, outside, 4, stride=2, padding=1))
        layers.append(ResidualBlock(outside) if residual else nn.LeakyReLU(SLOPE))
    return layers


def build_autoencoder(
    architecture: str, backbone: str, weights: str, size: int, latent: int
) -> Autoencoder:
    """Build `vit`, `conv` or `resnet`.

    Raises:
        UserError: There is no such architecture.
    """
    if architecture == "vit":
        return ViTAutoencoder(backbone, weights, size, latent)
    if architecture in ("conv", "resnet"):
        return ConvAutoencoder(size, latent, residual=architecture == "resnet")
    raise UserError(f"method.architecture={architecture}: choose vit, conv or resnet")
