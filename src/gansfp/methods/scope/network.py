"""Siamese twins: feature maps that attend to each other, two similarities, a small classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import nn

from gansfp.losses.infonce import at_least_single

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from gansfp.features.trainable import TrainableBackbone

Tokens = Literal["map", "global"]


class Twins(NamedTuple):
    """What the network says of pairs."""

    logits: Tensor
    """Shape (B,): their sigmoid is the confidence that the real image was used."""
    left: Tensor
    """Vectors of the left images after attention, shape (B, width)."""
    right: Tensor
    """Vectors of the right images after attention, shape (B, width)."""


class TwinTokens(nn.Module):
    """The shared branch: an image as tokens.

    Args:
        backbone: Any network; its cells of the last feature map, or its patches, become tokens.
        width: Size of a token.
        tokens: `map`: one for each place. `global`: one, the mean over places.
    """

    def __init__(self, backbone: TrainableBackbone, width: int, tokens: Tokens = "map") -> None:
        super().__init__()
        self.backbone = backbone
        self.project = nn.Linear(backbone.channels, width)
        self._tokens = tokens

    def forward(self, images: Tensor) -> Tensor:
        """Embed images, (B, H, W), as tokens, (B, N, width)."""
        found = self.backbone.tokens(images)
        if self._tokens == "global":
            found = found.mean(dim=1, keepdim=True)
        tokens: Tensor = self.project(found)
        return tokens


class TwinHead(nn.Module):
    """Compare the tokens of two images (SCOPE VIT Visioneers, ImageCLEF 2025, run 1160).

    In each layer both images attend to each other's tokens, by the same weights, with a residual
    path and layer norm. Of the mean tokens u and v, the absolute difference |u - v| and the product
    u v, whose sum is the dot product, are weighed by a softmax of [u, v] of each pair: the adaptive
    similarity. A perceptron makes a logit of both.

    With one token an image (`global`), attention over one key gives that key whatever the query:
    it is a linear map of the partner.

    Args:
        width: Size of a token.
        heads: Heads of the attention.
        depth: Layers of attention.
        hidden: Hidden layers of the perceptron, with ReLU.

    Attributes:
        attention: Of each layer.
        mix: Gives the weights of the two similarities.
        classify: The perceptron.
    """

    def __init__(
        self, width: int, heads: int = 8, depth: int = 1, hidden: Sequence[int] = (512, 128)
    ) -> None:
        super().__init__()
        self.attention = nn.ModuleList(
            nn.MultiheadAttention(width, heads, batch_first=True) for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(depth))
        self.mix = nn.Linear(2 * width, 2)
        layers: list[nn.Module] = []
        sizes = [2 * width, *hidden]
        for inside, outside in zip(sizes, hidden, strict=False):
            layers += [nn.Linear(inside, outside), nn.ReLU()]
        self.classify = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def forward(self, left: Tensor, right: Tensor) -> Twins:
        """Compare pairs of tokens, both (B, N, width)."""
        for attend, norm in zip(self.attention, self.norms, strict=True):
            seen_left = attend(left, right, right, need_weights=False)[0]
            seen_right = attend(right, left, left, need_weights=False)[0]
            left, right = norm(left + seen_left), norm(right + seen_right)
        u, v = left.mean(dim=1), right.mean(dim=1)
        logits = self.classify(adaptive_similarity(u, v, self.mix(torch.cat([u, v], dim=1))))
        return Twins(at_least_single(logits.squeeze(1)), at_least_single(u), at_least_single(v))


def adaptive_similarity(u: Tensor, v: Tensor, preference: Tensor) -> Tensor:
    """Weigh absolute difference and product of vectors.

    Args:
        u: Shape (B, D).
        v: Shape (B, D).
        preference: Logits of the two weights, shape (B, 2).

    Returns:
        Shape (B, 2 D).
    """
    difference, product = preference.softmax(dim=1).split(1, dim=1)  # type: ignore[no-untyped-call]
    return torch.cat([difference * (u - v).abs(), product * u * v], dim=1)
