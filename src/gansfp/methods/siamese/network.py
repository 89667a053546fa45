"""The Siamese branch: four convolutions and a dense layer onto the unit sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as F

from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

CHANNELS = (16, 32, 64, 128)

# tf.math.l2_normalize floors the squared norm at 1e-12.
_NORM_FLOOR = 1e-6


class SiameseNetwork(nn.Module):
    """Embed a grey image on the unit sphere.

    For each entry of `channels`: 3x3 convolution without padding, ReLU, 2x2 max pooling; then
    flatten, a dense layer, ReLU, L2 normalisation. 256x256 pixels give 14x14x128, 64x64 give
    2x2x128. Weights start as in Keras, where the published network was made: Glorot uniform,
    biases zero.

    Attributes:
        features: The convolutional part.
        dense: The embedding layer.
    """

    def __init__(
        self, image_size: int, channels: Sequence[int] = CHANNELS, embedding: int = 256
    ) -> None:
        super().__init__()
        side = feature_side(image_size, len(channels))
        layers: list[nn.Module] = []
        for inside, outside in zip((1, *channels), channels, strict=False):
            layers += [nn.Conv2d(inside, outside, kernel_size=3), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(side * side * channels[-1], embedding)
        self.apply(_keras_init)

    def forward(self, x: Tensor) -> Tensor:
        """Embed images.

        Args:
            x: float, shape (B, 1, H, W).

        Returns:
            Vectors of unit length, shape (B, embedding).
        """
        x = self.features(x).flatten(1)
        return F.normalize(F.relu(self.dense(x)), dim=1, eps=_NORM_FLOOR)


def feature_side(image_size: int, depth: int = len(CHANNELS)) -> int:
    """Compute the side of the last feature map, in pixels.

    Raises:
        UserError: Nothing is left of an image this small.
    """
    side = image_size
    for _ in range(depth):
        side = (side - 2) // 2
        if side < 1:
            raise UserError(
                f"image_size={image_size}: too small for {depth} convolutions with pooling, which "
                f"need {smallest_image(depth)} pixels: use larger images or fewer method.channels"
            )
    return side


def smallest_image(depth: int) -> int:
    """Compute the smallest side that leaves one pixel after `depth` stages."""
    side = 1
    for _ in range(depth):
        side = 2 * side + 2
    return side


def _keras_init(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
