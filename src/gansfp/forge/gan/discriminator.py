"""The discriminator of a FastGAN-class GAN: a critic that must also draw what it has seen."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from gansfp.forge.gan.network import channels_at, check_side, convolution, normalisation

SLOPE = 0.2
LARGEST_DRAWN = 64
"""Side of the largest picture that the decoders draw."""


class DownBlock(nn.Module):
    """Halve the side on two ways, 4x4 and 3x3 convolutions or mean and 1x1; take their mean.

    Args:
        inputs: Channels.
        outputs: Channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            convolution(inputs, outputs, 4, stride=2, padding=1),
            normalisation(outputs),
            nn.LeakyReLU(SLOPE),
            convolution(outputs, outputs, 3),
            normalisation(outputs),
            nn.LeakyReLU(SLOPE),
        )
        self.short = nn.Sequential(
            nn.AvgPool2d(2),
            convolution(inputs, outputs, 1),
            normalisation(outputs),
            nn.LeakyReLU(SLOPE),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Halve: (B, inputs, H, W) to (B, outputs, H/2, W/2)."""
        halved: Tensor = (self.main(features) + self.short(features)) / 2
        return halved


class Decoder(nn.Sequential):
    """Draw a picture from features, as the paper's simple decoder does.

    Args:
        inputs: Channels of the features.
        width: Channels of the first block; each further one has half.
        doublings: Picture side by feature side, as a power of two.
    """

    def __init__(self, inputs: int, width: int, doublings: int) -> None:
        parts: list[nn.Module] = []
        for k in range(doublings):
            outputs = max(8, width >> k)
            parts += [
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(inputs, 2 * outputs, 3, padding=1, bias=False),
                normalisation(2 * outputs),
                nn.GLU(dim=1),
            ]
            inputs = outputs
        super().__init__(*parts, nn.Conv2d(inputs, 1, 3, padding=1), nn.Tanh())


class Discriminator(nn.Module):
    """Tell real images from drawn ones; draw real ones again from what it keeps of them.

    Having to draw the image whole (from 8x8 features) and a quarter of it in detail (from a quarter
    of the 16x16 features) keeps the features from describing a few giveaways only (the paper's
    section 3.2). The paper compares by a pretrained perceptual network; here it is the mean
    absolute difference, which needs no download.

    Args:
        image_size: Side in pixels: 32, 64, 128 or 256.
        width: Channels at 64x64; see `channels_at`.
    """

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        check_side(image_size)
        sides = [image_size >> k for k in range(image_size.bit_length()) if image_size >> k >= 8]
        channels = [channels_at(side, width) for side in sides]
        stem = nn.Conv2d(1, channels[0], 3, padding=1)
        self.stem = nn.Sequential(stem, nn.LeakyReLU(SLOPE))
        down = [DownBlock(*pair) for pair in itertools.pairwise(channels)]
        self.to_16 = nn.Sequential(*down[:-1])
        self.to_8 = down[-1]
        self.head = nn.Sequential(
            convolution(channels[-1], channels[-1], 1),
            normalisation(channels[-1]),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels[-1], 1, 4),
        )
        drawn = min(image_size // 2, LARGEST_DRAWN)
        doublings = (drawn // 8).bit_length() - 1
        self.whole = Decoder(channels[-1], width, doublings)
        # A quarter in detail: as many pixels as the whole picture has.
        self.quarter = Decoder(channels[-2], width, doublings)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Judge images, shape (B, 1, H, W).

        Returns:
            Scores of 5x5 overlapping regions, float, shape (B, 25), larger for real; features
            (B, C, 16, 16) and (B, C', 8, 8).
        """
        middle = self.to_16(self.stem(images.contiguous(memory_format=torch.channels_last)))
        last = self.to_8(middle)
        return self.head(last).flatten(1), middle, last

    def redraw_loss(self, images: Tensor, middle: Tensor, last: Tensor, quarter: Tensor) -> Tensor:
        """Compare images with what the decoders make of their features.

        Args:
            images: As the discriminator saw them, shape (B, 1, H, W).
            middle: Their features, shape (B, C, 16, 16).
            last: Their features, shape (B, C', 8, 8).
            quarter: Which quarter to draw, 0 to 3 in reading order, int64, shape (B,).

        Returns:
            Sum of the two mean absolute differences.
        """
        whole = self.whole(last)
        detail = self.quarter(quarter_of(middle, quarter))
        return _difference(whole, images) + _difference(detail, quarter_of(images, quarter))


def quarter_of(maps: Tensor, quarter: Tensor) -> Tensor:
    """Cut one quarter out of each map.

    Args:
        maps: Shape (B, C, 2h, 2w).
        quarter: 0 to 3 in reading order, int64, shape (B,).

    Returns:
        Shape (B, C, h, w).
    """
    batch, channels, height, width = maps.shape
    cells = maps.reshape(batch, channels, 2, height // 2, 2, width // 2)
    # A sum of one quarter and three zeros: fixed shapes and a plain gradient, unlike indexing.
    wanted = quarter[:, None] == torch.arange(4, device=maps.device)
    wanted = wanted.to(maps.dtype).reshape(batch, 1, 2, 1, 2, 1)
    return (cells * wanted).sum(dim=(2, 4))


def hinge_loss(real: Tensor, drawn: Tensor) -> Tensor:
    """Loss of the discriminator: `E max(0, 1 - D(real)) + E max(0, 1 + D(drawn))`.

    Lim and Ye, "Geometric GAN", 2017. 2 where it knows nothing (all scores 0), 0 where it tells all
    apart by a margin of 1. The generator's loss is `-E D(drawn)`.

    Args:
        real: Scores, any shape.
        drawn: Scores, any shape.
    """
    return functional.relu(1 - real).mean() + functional.relu(1 + drawn).mean()


def _difference(drawn: Tensor, wanted: Tensor) -> Tensor:
    smaller = functional.avg_pool2d(wanted, wanted.shape[-1] // drawn.shape[-1])
    return functional.l1_loss(drawn.to(wanted.dtype), smaller)
