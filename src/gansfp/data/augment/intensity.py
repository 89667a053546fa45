"""Transforms that change grey values: contrast, blur, noise, covered parts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from gansfp.data.augment.pipeline import between, check_probability, chosen
from gansfp.data.draws import derive, normal, uniform
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class Jitter:
    """Change brightness, then contrast, each by a factor uniform in [1 - range, 1 + range].

    The grey half of torchvision's ColorJitter; saturation and hue do nothing to grey images.

    Args:
        brightness: Range of the factor that multiplies grey values.
        contrast: Range of the factor that stretches them about the mean of the image.
        p: Probability that an image is changed at all.
    """

    def __init__(self, brightness: float = 0.0, contrast: float = 0.0, p: float = 1.0) -> None:
        check_probability(p, "a jitter")
        self.brightness, self.contrast, self.p = brightness, contrast, p

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Change a batch; see `gansfp.data.augment.Transform`."""
        unit = uniform(keys, 2)[:, :, None, None]
        bright, steep = (
            between(unit[:, k], 1 - reach, 1 + reach).clamp(min=0)
            for k, reach in enumerate((self.brightness, self.contrast))
        )
        changed = (images * bright).clamp(0, 1)
        mean = changed.mean((1, 2), keepdim=True)
        changed = (mean + (changed - mean) * steep).clamp(0, 1)
        return torch.where(chosen(keys, self.p)[:, None, None], changed, images)


class Blur:
    """Blur with a Gaussian whose width is drawn for each image.

    Args:
        kernel: Side of the kernel, pixels; odd.
        sigma: Smallest and largest standard deviation, pixels.
        p: Probability that an image is changed at all.
    """

    def __init__(
        self, kernel: int = 3, sigma: Sequence[float] = (0.1, 2.0), p: float = 1.0
    ) -> None:
        check_probability(p, "a blur")
        if kernel < 1 or kernel % 2 == 0:
            raise UserError(f"a blur with kernel={kernel}: give an odd number of pixels")
        self.kernel, self.sigma, self.p = kernel, (float(sigma[0]), float(sigma[1])), p

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Blur a batch; see `gansfp.data.augment.Transform`."""
        sigma = between(uniform(keys, 1), *self.sigma)
        reach = self.kernel // 2
        place = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
        weights = torch.exp(-0.5 * (place / sigma).square())
        weights = weights / weights.sum(1, keepdim=True)
        # The batch as channels of one image, each with a kernel of its own.
        x = F.pad(images[None], (reach,) * 4, mode="reflect")
        x = F.conv2d(x, weights[:, None, :, None], groups=len(images))
        x = F.conv2d(x, weights[:, None, None, :], groups=len(images))
        return torch.where(chosen(keys, self.p)[:, None, None], x[0], images)


class Noise:
    """Add white Gaussian noise.

    Args:
        std: Smallest and largest standard deviation, in units of the grey range.
        p: Probability that an image is changed at all.
    """

    def __init__(self, std: Sequence[float] = (0.0, 0.02), p: float = 1.0) -> None:
        check_probability(p, "noise")
        self.std, self.p = (float(std[0]), float(std[1])), p

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Add noise to a batch; see `gansfp.data.augment.Transform`."""
        std = between(uniform(keys, 1), *self.std)[:, :, None]
        pixels = images.shape[1] * images.shape[2]
        noise = normal(derive(keys, 1), pixels).view_as(images)
        noisy = (images + std * noise).clamp(0, 1)
        return torch.where(chosen(keys, self.p)[:, None, None], noisy, images)


class GaborNoise:
    """Add a plane wave of random direction, frequency and phase.

    Args:
        amplitude: Height of the wave, in units of the grey range.
        frequency: Smallest and largest frequency, cycles a pixel.
        p: Probability that an image is changed at all.
    """

    def __init__(
        self, amplitude: float = 0.05, frequency: Sequence[float] = (0.1, 0.4), p: float = 0.3
    ) -> None:
        check_probability(p, "Gabor noise")
        self.amplitude, self.p = amplitude, p
        self.frequency = (float(frequency[0]), float(frequency[1]))

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Add a wave to each image; see `gansfp.data.augment.Transform`."""
        unit = uniform(keys, 3)
        turn, phase = math.pi * unit[:, 0], 2 * math.pi * unit[:, 1]
        cycles = 2 * math.pi * between(unit[:, 2], *self.frequency)
        down = torch.arange(images.shape[1], device=images.device)[None, :, None]
        right = torch.arange(images.shape[2], device=images.device)[None, None, :]
        along_x, along_y = ((cycles * f)[:, None, None] for f in (turn.cos(), turn.sin()))
        wave = torch.cos(along_x * right + along_y * down + phase[:, None, None])
        changed = (images + self.amplitude * wave).clamp(0, 1)
        return torch.where(chosen(keys, self.p)[:, None, None], changed, images)


class Erase:
    """Cover a rectangle (Zhong et al., "Random erasing data augmentation", AAAI 2020).

    Args:
        p: Probability that an image is changed at all.
        scale: Smallest and largest area, as a share of the image's.
        ratio: Smallest and largest ratio of width to height.
        value: Grey value of the covered part.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float = 0.0,
    ) -> None:
        check_probability(p, "erasing")
        self.p, self.value = p, value
        self.scale = (float(scale[0]), float(scale[1]))
        self.ratio = (float(ratio[0]), float(ratio[1]))

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Cover a part of each image; see `gansfp.data.augment.Transform`."""
        height, width = images.shape[1:]
        unit = uniform(keys, 4)
        area = between(unit[:, 0], *self.scale) * height * width
        ratio = between(unit[:, 1], *(math.log(value) for value in self.ratio)).exp()
        tall = (area / ratio).sqrt().round().clamp(1, height)
        wide = (area * ratio).sqrt().round().clamp(1, width)
        top = (unit[:, 2] * (height - tall + 1)).floor()
        left = (unit[:, 3] * (width - wide + 1)).floor()
        covered = _inside(top, tall, height)[:, :, None] & _inside(left, wide, width)[:, None, :]
        covered &= chosen(keys, self.p)[:, None, None]
        return images.masked_fill(covered, self.value)


class MaskBlocks:
    """Cover squares of a grid, each with the same probability.

    Args:
        share: Probability that a square is covered.
        block: Side of a square, pixels.
        value: Grey value of the covered squares.
    """

    def __init__(self, share: float = 0.15, block: int = 16, value: float = 0.0) -> None:
        check_probability(share, "a covered square")
        if block < 1:
            raise UserError(f"squares of block={block} pixels: must be at least 1")
        self.share, self.block, self.value = share, block, value

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Cover squares of each image; see `gansfp.data.augment.Transform`."""
        height, width = images.shape[1:]
        down, right = -(-height // self.block), -(-width // self.block)
        covered = (uniform(keys, down * right) < self.share).view(-1, down, right)
        covered = covered.repeat_interleave(self.block, 1).repeat_interleave(self.block, 2)
        return images.masked_fill(covered[:, :height, :width], self.value)


def _inside(start: Tensor, length: Tensor, count: int) -> Tensor:
    """Mark the places of a stretch: bool, shape (B, count)."""
    place = torch.arange(count, device=start.device)
    return (place >= start[:, None]) & (place < (start + length)[:, None])
