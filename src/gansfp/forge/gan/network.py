"""The generator of a FastGAN-class GAN, and the blocks that it shares with the discriminator.

Liu, Zhu, Song and Elgammal, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot
Image Synthesis", ICLR 2021.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gansfp.errors import UserError

SIDES = (32, 64, 128, 256)
SKIP = 8
"""A feature map gates the one that is so many times larger. (The paper: 16, for 256 and more.)"""


def channels_at(side: int, width: int) -> int:
    """Channels of a feature map: `width` at 64x64, half at 128x128, at most 4 times `width`."""
    return max(8, min(4 * width, 64 * width // side))


def check_side(image_size: int) -> None:
    """Refuse sizes that the networks are not made for.

    Raises:
        UserError: Names the key.
    """
    if image_size not in SIDES:
        raise UserError(
            f"images of {image_size} pixels: a GAN draws {', '.join(map(str, SIDES))}; set "
            "source.resize"
        )


def convolution(inputs: int, outputs: int, kernel: int, **options: Any) -> nn.Conv2d:
    """Make a convolution without a bias that keeps the side, unless told otherwise."""
    return nn.Conv2d(inputs, outputs, kernel, bias=False, **{"padding": kernel // 2} | options)


def normalisation(channels: int) -> nn.GroupNorm:
    """Make a group norm, in the place of the paper's batch norm and spectral norm.

    It does not care who shares the batch: one process and several compute the same, and a sample
    does not hang on its neighbours. What it normalises has lost its scale, so that a bound on the
    norm of the weights before it would change nothing.
    """
    return nn.GroupNorm(math.gcd(channels, 8), channels)


class SkipExcitation(nn.Module):
    """Gate the channels of a large feature map by a small one (the paper's section 3.1).

    `y = F(x_low, W) * x_high`, where F is pooling to 4x4, a 4x4 convolution, Swish, a 1x1
    convolution and a sigmoid.

    Args:
        low: Channels of the small map.
        high: Channels of the large map.
        side: Of the small map, a multiple of 4.
    """

    def __init__(self, low: int, high: int, side: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AvgPool2d(side // 4),
            convolution(low, high, 4, padding=0),
            nn.SiLU(),
            convolution(high, high, 1),
            nn.Sigmoid(),
        )

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Gate: (B, low, h, w) and (B, high, H, W) to (B, high, H, W)."""
        gated: Tensor = high * self.gate(low)
        return gated


class GatedConvolution(nn.Sequential):
    """A 3x3 convolution to twice the channels, a norm, and a gated linear unit (GLU).

    Args:
        inputs: Channels.
        outputs: Channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            convolution(inputs, 2 * outputs, 3), normalisation(2 * outputs), nn.GLU(dim=1)
        )


class UpBlock(nn.Sequential):
    """Double the side, then one or two gated convolutions.

    Args:
        inputs: Channels.
        outputs: Channels.
        layers: Gated convolutions.
    """

    def __init__(self, inputs: int, outputs: int, layers: int = 1) -> None:
        parts = [GatedConvolution(outputs if k else inputs, outputs) for k in range(layers)]
        super().__init__(nn.Upsample(scale_factor=2, mode="nearest"), *parts)


class Generator(nn.Module):
    """From a latent vector to an image.

    Blocks with two convolutions and with one take turns, as in the paper; its code's additional
    noise maps are left out, so that an image is a function of the latent vector.

    Args:
        image_size: Side in pixels: 32, 64, 128 or 256.
        latent: Length of the latent vector.
        width: Channels at 64x64; see `channels_at`.
    """

    def __init__(self, image_size: int, latent: int, width: int) -> None:
        super().__init__()
        check_side(image_size)
        start = channels_at(4, width)
        self.start = nn.Linear(latent, 2 * start * 16, bias=False)
        self.start_norm = normalisation(2 * start)
        self.blocks, self.gates = nn.ModuleDict(), nn.ModuleDict()
        side = 8
        while side <= image_size:
            inputs, outputs = channels_at(side // 2, width), channels_at(side, width)
            layers = 2 - len(self.blocks) % 2
            self.blocks[str(side)] = UpBlock(inputs, outputs, layers)
            small = side // SKIP
            if small >= 4:
                gate = SkipExcitation(channels_at(small, width), outputs, small)
                self.gates[str(side)] = gate
            side *= 2
        self.last = nn.Conv2d(channels_at(image_size, width), 1, 3, padding=1)
        self.to(memory_format=torch.channels_last)

    def forward(self, latent: Tensor) -> Tensor:
        """Draw: latent vectors (B, latent) to images in [-1, 1], shape (B, 1, H, W).

        The vectors are put on the sphere of their mean length first.
        """
        direction = functional.normalize(latent, dim=1) * math.sqrt(latent.shape[1])
        start = self.start(direction).unflatten(1, (-1, 4, 4))
        grown = functional.glu(self.start_norm(start), dim=1)
        grown = grown.contiguous(memory_format=torch.channels_last)
        small = {4: grown}
        for name, block in self.blocks.items():
            side = int(name)
            grown = block(grown)
            if name in self.gates:
                grown = self.gates[name](small[side // SKIP], grown)
            small[side] = grown
        return torch.tanh(self.last(grown))
