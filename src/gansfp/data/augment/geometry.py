"""Transforms that move pixels: flips, shifts, crops, rotation, scale and shear."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional as F

from gansfp.data.augment.pipeline import between, check_probability, chosen
from gansfp.data.draws import uniform
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Padding = Literal["zeros", "border", "reflection"]


class Flip:
    """Mirror images, and turn square ones by right angles; no pixel is interpolated.

    Args:
        horizontal: Probability of exchanging left and right.
        vertical: Probability of exchanging top and bottom.
        turns: Also turn by 0, 90, 180 or 270 degrees, each as likely; square images only.
    """

    def __init__(self, horizontal: float = 0.5, vertical: float = 0.0, turns: bool = False) -> None:
        check_probability(horizontal, "a horizontal flip")
        check_probability(vertical, "a vertical flip")
        self.horizontal, self.vertical, self.turns = horizontal, vertical, turns

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Flip a batch; see `gansfp.data.augment.Transform`."""
        unit = uniform(keys, 3)[:, :, None, None]
        images = torch.where(unit[:, 0] < self.horizontal, images.flip(2), images)
        images = torch.where(unit[:, 1] < self.vertical, images.flip(1), images)
        if self.turns:
            quarters = (unit[:, 2] * 4).long()
            images = torch.where(quarters >= 2, images.flip((1, 2)), images)
            images = torch.where(quarters % 2 == 1, images.transpose(1, 2).flip(1), images)
        return images


class Crop:
    """Cut a window out at a random place, by whole pixels.

    Args:
        size: Side of the window, pixels; None: as large as the image, so that it only shifts.
        padding: Pixels that are mirrored onto each side before.
    """

    def __init__(self, size: int | None = None, padding: int = 0) -> None:
        if padding < 0 or (size is not None and size < 1):
            raise UserError(f"a crop of size={size}, padding={padding}: must be positive")
        self.size, self.padding = size, padding

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Crop a batch; see `gansfp.data.augment.Transform`.

        Raises:
            UserError: The window is larger than the images.
        """
        height, width = images.shape[1:]
        if self.padding:
            images = F.pad(images, (self.padding,) * 4, mode="reflect")
        sides = (self.size or height, self.size or width)
        room = [have - side for have, side in zip(images.shape[1:], sides, strict=True)]
        if min(room) < 0:
            raise UserError(f"a crop of size={self.size}: images have {height} x {width} pixels")
        unit = uniform(keys, 2)
        top, left = (_whole(unit[:, axis], room[axis] + 1) for axis in (0, 1))
        rows = top[:, None] + torch.arange(sides[0], device=images.device)
        columns = left[:, None] + torch.arange(sides[1], device=images.device)
        images = images.gather(1, rows[:, :, None].expand(-1, -1, images.shape[2]))
        return images.gather(2, columns[:, None, :].expand(-1, sides[0], -1))


class ResizedCrop:
    """Cut a window of random area and shape out, and scale it to one size, bilinearly.

    The window is drawn as in Szegedy et al., "Going deeper with convolutions", CVPR 2015: its area
    uniform, the logarithm of its aspect ratio too; a side longer than the image's is cut to it.

    Args:
        size: Side of the result, pixels; None: that of the images.
        scale: Smallest and largest area, as a share of the image's.
        ratio: Smallest and largest ratio of width to height.
    """

    def __init__(
        self,
        size: int | None = None,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
    ) -> None:
        self.size = size
        self.scale, self.ratio = _range(scale, "scale"), _range(ratio, "ratio")

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Crop and scale a batch; see `gansfp.data.augment.Transform`."""
        height, width = images.shape[1:]
        unit = uniform(keys, 4)
        area = between(unit[:, 0], *self.scale) * height * width
        low, high = (math.log(value) for value in self.ratio)
        ratio = between(unit[:, 1], low, high).exp()
        tall = (area / ratio).sqrt().clamp(max=height) / height
        wide = (area * ratio).sqrt().clamp(max=width) / width
        # In coordinates from -1 to 1 the window is a scaled image moved by what is left over.
        theta = images.new_zeros(len(images), 2, 3)
        theta[:, 0, 0], theta[:, 1, 1] = wide, tall
        theta[:, 0, 2] = (1 - wide) * between(unit[:, 2], -1, 1)
        theta[:, 1, 2] = (1 - tall) * between(unit[:, 3], -1, 1)
        sides = (self.size or height, self.size or width)
        return _sample(images, theta, sides, "border")


class Affine:
    """Rotate, move, scale and shear about the centre, bilinearly (as `torchvision` does).

    Args:
        degrees: Largest rotation either way.
        translate: Largest shift either way, as a share of the side.
        scale: Smallest and largest magnification.
        shear: Largest shear along x either way, degrees.
        p: Probability that an image is changed at all.
        padding: What lies outside: `zeros` (black), `border` or `reflection`.
    """

    def __init__(
        self,
        degrees: float = 0.0,
        translate: float = 0.0,
        scale: Sequence[float] = (1.0, 1.0),
        shear: float = 0.0,
        p: float = 1.0,
        padding: Padding = "zeros",
    ) -> None:
        check_probability(p, "an affine transform")
        self.degrees, self.translate, self.shear = degrees, translate, shear
        self.scale = _range(scale, "scale")
        self.p, self.padding = p, padding

    def __call__(self, images: Tensor, keys: Tensor) -> Tensor:
        """Transform a batch; see `gansfp.data.augment.Transform`."""
        unit = uniform(keys, 5)
        right, down = between(unit[:, 1:3], -self.translate, self.translate).unbind(1)
        theta = inverse_affine(
            between(unit[:, 0], -self.degrees, self.degrees),
            torch.stack([right * images.shape[2], down * images.shape[1]], dim=1),
            between(unit[:, 3], *self.scale),
            between(unit[:, 4], -self.shear, self.shear),
            (images.shape[1], images.shape[2]),
        )
        moved = _sample(images, theta, (images.shape[1], images.shape[2]), self.padding)
        return torch.where(chosen(keys, self.p)[:, None, None], moved, images)


def inverse_affine(
    degrees: Tensor, shift: Tensor, scale: Tensor, shear: Tensor, size: tuple[int, int]
) -> Tensor:
    """Write the maps from places in the result to places in the image.

    Forward, about the centre: shear along x, scale, rotate, shift:
    M = T R(angle) S(scale) [1, -tan(shear); 0, 1].

    Args:
        degrees: Rotation, clockwise as seen (y points down), shape (B,).
        shift: Pixels right and down, shape (B, 2).
        scale: Magnification, shape (B,).
        shear: Degrees, shape (B,).
        size: Height and width, pixels.

    Returns:
        For `grid_sample`, coordinates from -1 to 1: shape (B, 2, 3).
    """
    angle, lean = degrees.deg2rad(), shear.deg2rad().tan()
    cos, sin = angle.cos() / scale, angle.sin() / scale
    # M^-1 = [1, tan(shear); 0, 1] S(1 / scale) R(-angle) T^-1, in pixels.
    linear = torch.stack(
        [
            torch.stack([cos - lean * sin, sin + lean * cos], dim=1),
            torch.stack([-sin, cos], dim=1),
        ],
        dim=1,
    )
    offset = -(linear @ shift[:, :, None])
    # In halves of the side. No tensor of the sides is made: a GPU would wait for its copy.
    height, width = size
    x, y = linear.unbind(1)
    shift_x, shift_y = offset[:, 0, 0] * (2 / width), offset[:, 1, 0] * (2 / height)
    return torch.stack(
        [
            torch.stack([x[:, 0], x[:, 1] * (height / width), shift_x], dim=1),
            torch.stack([y[:, 0] * (width / height), y[:, 1], shift_y], dim=1),
        ],
        dim=1,
    )


def _sample(images: Tensor, theta: Tensor, sides: tuple[int, int], padding: Padding) -> Tensor:
    shape = [len(images), 1, *sides]
    grid = F.affine_grid(theta.to(images.dtype), shape, align_corners=False)
    sampled = F.grid_sample(
        images[:, None], grid, mode="bilinear", padding_mode=padding, align_corners=False
    )
    return sampled[:, 0]


def _whole(unit: Tensor, count: int) -> Tensor:
    """Turn numbers in [0, 1) into whole ones, 0 to count - 1."""
    return (unit * count).long().clamp(max=count - 1)


def _range(values: Sequence[float], what: str) -> tuple[float, float]:
    low, high = values
    if not 0 < low <= high:
        raise UserError(f"{what}={list(values)}: give the smallest and the largest, above zero")
    return float(low), float(high)
