"""The DDPM's U-Net, built from diffusers' blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from gansfp.errors import UserError


class NoisePredictor(nn.Module):
    """A U-Net that predicts the noise in an image, or v (Ho et al., 2020).

    Args:
        image_size: Side of the images in pixels; halved at each level but the first.
        channels: Channels of the levels, fine to coarse.
        layers: Residual blocks a level.
        attention: Sides (in pixels) of the levels that have self-attention.
        dropout: Probability inside the residual blocks.

    Raises:
        UserError: The image cannot be halved so often.
    """

    def __init__(
        self,
        image_size: int,
        channels: Sequence[int],
        layers: int = 1,
        attention: Sequence[int] = (8, 16),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        factor = 2 ** (len(channels) - 1)
        if image_size % factor:
            raise UserError(
                f"generator.channels has {len(channels)} levels: images of {image_size} pixels "
                f"cannot be halved so often; set source.resize to a multiple of {factor}"
            )
        attends = [image_size // 2**level in attention for level in range(len(channels))]
        group = math.gcd(32, *channels)
        self.unet = UNet2DModel(
            sample_size=image_size,
            in_channels=1,
            out_channels=1,
            layers_per_block=layers,
            block_out_channels=tuple(channels),
            down_block_types=tuple("AttnDownBlock2D" if yes else "DownBlock2D" for yes in attends),
            up_block_types=tuple(
                "AttnUpBlock2D" if yes else "UpBlock2D" for yes in reversed(attends)
            ),
            attention_head_dim=group,
            norm_num_groups=group,
            dropout=dropout,
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, noisy: Tensor, timestep: Tensor | int) -> Tensor:
        """Predict the noise, or whatever it is trained for.

        Args:
            noisy: Shape (B, 1, H, W).
            timestep: Shape (B,), or one number for all.

        Returns:
            The prediction, shape (B, 1, H, W).
        """
        predicted: Tensor = self.unet(noisy, timestep, return_dict=False)[0]
        return predicted
