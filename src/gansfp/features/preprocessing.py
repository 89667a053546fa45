"""What a pretrained network wants to see: size, three channels, standardised grey values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch
from torch.nn import functional as F

from gansfp.data.augment import unit_range
from gansfp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Interpolation = Literal["bicubic", "bilinear"]
Triple = tuple[float, ...]

# Mean and standard deviation of each channel, for inputs in [0, 1]. Keras calls the three "torch"
# (DenseNet), "tf" (MobileNet) and "caffe" (ResNet: blue, green, red of 0..255 without their means).
NORMALISATIONS: dict[str, tuple[Triple, Triple]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "caffe": ((103.939 / 255, 116.779 / 255, 123.68 / 255), (1 / 255, 1 / 255, 1 / 255)),
}


@dataclass(frozen=True)
class Preprocessing:
    """From grey images to network inputs, on the device that holds them.

    Attributes:
        size: Side of the input, pixels.
        mean: Mean of each channel, for inputs in [0, 1].
        std: Standard deviation of each channel.
        interpolation: `bicubic` or `bilinear`.
        antialias: Smooth before making an image smaller.
    """

    size: int
    mean: Triple
    std: Triple
    interpolation: Interpolation = "bicubic"
    antialias: bool = True

    @classmethod
    def of(
        cls,
        weights: dict[str, Any],
        size: int | None = None,
        normalisation: str = "native",
        interpolation: Interpolation = "bicubic",
        antialias: bool = True,
    ) -> Preprocessing:
        """Take what the weights expect, but for what is given.

        Args:
            weights: timm's `pretrained_cfg` of a model: `input_size`, `mean`, `std`.
            size: Side of the input; None: that of the weights.
            normalisation: `native`, or one of `NORMALISATIONS`.
            interpolation: See the class.
            antialias: See the class.

        Raises:
            UserError: There is no such normalisation or interpolation.
        """
        if normalisation not in ("native", *NORMALISATIONS):
            raise UserError(
                f"normalisation={normalisation}: choose native, {', '.join(NORMALISATIONS)}"
            )
        if interpolation not in get_args(Interpolation):
            raise UserError(f"interpolation={interpolation}: choose bicubic or bilinear")
        native = (tuple(map(float, weights["mean"])), tuple(map(float, weights["std"])))
        mean, std = NORMALISATIONS.get(normalisation, native)
        side = int(weights["input_size"][-1]) if size is None else size
        return cls(side, mean, std, interpolation, antialias)

    def __call__(self, images: Tensor) -> Tensor:
        """Resize, clip to the input's range as PIL does, repeat to three channels, standardise.

        Args:
            images: uint8, or float in [0, 1]; shape (B, H, W).

        Returns:
            float32, shape (B, 3, size, size), channels last.
        """
        x = unit_range(images).unsqueeze(1)
        if x.shape[-2:] != (self.size, self.size):
            x = F.interpolate(
                x,
                (self.size, self.size),
                mode=self.interpolation,
                antialias=self.antialias,
                align_corners=False,
            ).clamp_(0, 1)
        mean, std = _channels(self.mean, x.device), _channels(self.std, x.device)
        standardised = (x.expand(-1, 3, -1, -1) - mean) / std
        return standardised.contiguous(memory_format=torch.channels_last)

    def __str__(self) -> str:
        smoothed = "aa" if self.antialias else "plain"
        return f"grey-{self.interpolation}-{smoothed}-{self.size}-{self.mean}-{self.std}"


@cache
def _channels(values: Triple, device: torch.device) -> Tensor:
    """Lay one value a channel out, shape (1, C, 1, 1); kept, since a GPU waits for each copy."""
    with torch.inference_mode(mode=False):
        return torch.tensor(values, device=device).view(1, -1, 1, 1)
