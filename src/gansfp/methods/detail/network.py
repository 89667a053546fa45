"""A residual network that sees images at full resolution, beside what a blur takes from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.nn import functional as F

from gansfp.data.augment.pipeline import unit_range

if TYPE_CHECKING:
    from torch import Tensor

Norm = Literal["batch", "group"]
_GROUP = 8
_DETAIL_GAIN = 8.0
"""Residuals of CT slices are about so many times weaker than their grey values."""


class DetailNetwork(nn.Module):
    """Grey images to class scores, with no pooling or stride before the first stage ends.

    Input planes: grey values; their difference from a 5x5 binomial blur; and one that says which
    images are real. Stages of pre-activation residual blocks (He et al., "Identity mappings in
    deep residual networks", ECCV 2016), each further one at half the resolution by a strided
    convolution; mean over places; one linear layer.

    Args:
        outputs: Number of classes.
        widths: Channels of each stage.
        blocks: Residual blocks a stage.
        norm: `batch`, or `group` (of 8 channels), which does not mix the images of a batch.
        dropout: Share of the features that are dropped in training.
        pretrained: Have a `denoiser`, to be pretrained with.

    Attributes:
        stages: The residual stages.
        head: The linear layer.
        denoiser: From the maps of all stages to the noise of an image; None without pretraining.
    """

    blur: Tensor

    def __init__(
        self,
        outputs: int,
        widths: Sequence[int] = (48, 96, 192),
        blocks: int = 2,
        norm: Norm = "batch",
        dropout: float = 0.0,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        line = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        self.register_buffer("blur", (line[:, None] * line)[None, None], persistent=False)
        self.stem = _conv(3, widths[0])
        self.stages = nn.ModuleList()
        inside = widths[0]
        for number, width in enumerate(widths):
            stride = 1 if number == 0 else 2
            first = ResidualBlock(inside, width, stride, norm)
            rest = [ResidualBlock(width, width, 1, norm) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(first, *rest))
            inside = width
        self.last = _norm(norm, inside)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(inside, outputs)
        self.denoiser = nn.Conv2d(sum(widths), 1, 1) if pretrained else None
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, real: Tensor | None = None) -> Tensor:
        """Score images.

        Args:
            images: uint8, or float in [0, 1], shape (B, H, W).
            real: Which of them are real, shape (B,); None: none.

        Returns:
            Logits, shape (B, outputs).
        """
        deepest = self._maps(self._planes(images, real))[-1]
        pooled = F.relu(self.last(deepest)).mean(dim=(2, 3))
        logits: Tensor = self.head(self.dropout(pooled))
        return logits

    def noise_of(self, images: Tensor, real: Tensor | None = None) -> Tensor:
        """Guess the noise in images: shape (B, H, W)."""
        if self.denoiser is None:
            raise RuntimeError("noise_of without pretrained=True")
        maps = self._maps(self._planes(images, real))
        full = maps[0].shape[2:]
        raised = [maps[0], *(F.interpolate(found, full, mode="nearest") for found in maps[1:])]
        guessed: Tensor = self.denoiser(torch.cat(raised, dim=1))[:, 0]
        return guessed

    def _planes(self, images: Tensor, real: Tensor | None) -> Tensor:
        grey = unit_range(images)[:, None]
        with torch.autocast(grey.device.type, enabled=False):  # bf16 would drown the difference
            smooth = F.conv2d(F.pad(grey, (2, 2, 2, 2), mode="reflect"), self.blur)
        flag = grey.new_zeros(len(grey)) if real is None else real.to(grey.dtype)
        flag = flag[:, None, None, None].expand_as(grey)
        planes = torch.cat([4 * grey - 2, 4 * _DETAIL_GAIN * (grey - smooth), flag], dim=1)
        return planes.contiguous(memory_format=torch.channels_last)

    def _maps(self, planes: Tensor) -> list[Tensor]:
        found = self.stem(planes)
        maps = []
        for stage in self.stages:
            found = stage(found)
            maps.append(found)
        return maps


class ResidualBlock(nn.Module):
    """Norm, ReLU, convolution, twice; added to the input, averaged and mapped where sizes differ.

    Args:
        inside: Channels of the input.
        outside: Channels of the output.
        stride: Of the first convolution.
        norm: See `DetailNetwork`.
    """

    def __init__(self, inside: int, outside: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.first_norm, self.first = _norm(norm, inside), _conv(inside, outside, stride)
        self.second_norm, self.second = _norm(norm, outside), _conv(outside, outside)
        same = inside == outside and stride == 1
        # Not a 1x1 convolution of stride 2, whose gradient crashes torch 2.14 on CPUs
        # (channels_last); He et al., "Bag of tricks", CVPR 2019, recommend the mean anyway.
        paths = [nn.AvgPool2d(stride)] if stride > 1 else []
        self.skip = (
            nn.Identity()
            if same
            else nn.Sequential(*paths, nn.Conv2d(inside, outside, 1, bias=False))
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, inside, H, W) to (B, outside, H / stride, W / stride)."""
        found = self.first(F.relu(self.first_norm(maps)))
        result: Tensor = self.second(F.relu(self.second_norm(found))) + self.skip(maps)
        return result


def _conv(inside: int, outside: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, 3, stride, 1, bias=False)


def _norm(kind: Norm, channels: int) -> nn.Module:
    return (
        nn.BatchNorm2d(channels)
        if kind == "batch"
        else nn.GroupNorm(max(1, channels // _GROUP), channels)
    )
