"""CANet: gated fusion of transformer layers, and attention between two images in three stages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from gansfp.features.trainable import TrainableBackbone
from gansfp.losses.infonce import at_least_single

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_ROLES = 2
"""Real and synthetic."""


class Compared(NamedTuple):
    """What the network says of pairs of a real and a synthetic image."""

    logits: Tensor
    """Shape (B,): their sigmoid is the confidence that the real image was used."""
    similarity: Tensor
    """Attention-weighted cosine of the pair's layer tokens, shape (B,), in [-1, 1]."""
    real: Tensor
    """Fused vectors of the real images, shape (B, width)."""
    synthetic: Tensor
    """Fused vectors of the synthetic images, shape (B, width)."""


class LayerTokens(nn.Module):
    """One token from each of some blocks of a vision transformer.

    A token is the class token beside the mean patch token, 2 * 768 = 1536 values of ViT-B.

    Args:
        backbone: The transformer.
        layers: Numbers of the blocks, from 1.

    Attributes:
        width: Size of a token.
        depths: Relative depth of each block, in (0, 1].
    """

    def __init__(self, backbone: TrainableBackbone, layers: Sequence[int]) -> None:
        super().__init__()
        self.backbone = backbone
        self.layers = list(layers)
        self.width = 2 * backbone.channels
        backbone.freeze_after(max(self.layers))
        self.depths = [layer / backbone.depth for layer in self.layers]

    def forward(self, images: Tensor) -> Tensor:
        """Embed images, (B, H, W), as tokens, (B, layers, width)."""
        found = self.backbone.blocks(images, self.layers)
        return torch.stack(
            [torch.cat([cls, patches.mean(dim=1)], dim=1) for cls, patches in found], dim=1
        )


class LayerGate(nn.Module):
    """Weigh the layers of an image by all of its tokens, and add them up.

    Args:
        count: Number of layers.
        width: Size of a token.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(count * width, count)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse tokens, (B, layers, width).

        Returns:
            Fused vectors, (B, width), and the weights, (B, layers), whose rows sum to one.
        """
        weights = self.linear(tokens.flatten(1)).softmax(dim=1)
        return torch.einsum("bl,blw->bw", weights, tokens), weights


class Attend(nn.Module):
    """Multi-head attention with a residual path, then layer norm.

    Args:
        width: Size of a token.
        heads: Number of heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Let tokens, (B, N, width), look at a context, (B, M, width).

        Returns:
            New tokens, (B, N, width), and the mean attention of the heads, (B, N, M).
        """
        seen, weights = self.attention(tokens, context, context)
        return self.norm(tokens + seen), weights


class CANet(nn.Module):
    """Tell whether a real image was used, by one synthetic image (ImageCLEF 2025, run 1803).

    A layer norm brings the layer tokens of both images to one scale, whatever the transformer's, so
    that neither they nor the encoding added to them drowns the other; it tells their layer's depth
    and their role. Three stages of attention: within each image, from each image to the other, over
    both together. The similarity weighs cosines of the tokens without the encoding, which all
    images share, by the attention from the real to the synthetic image. A gate
    fuses the layers of each image into one vector; the confidence is the sigmoid of (cosine -
    offset) / temperature, with a temperature of each pair's own.

    Args:
        depths: Relative depth of each layer.
        width: Size of a layer token.
        heads: Heads of the attention.
        temperature_range: Bounds of the temperature.

    Attributes:
        scale: The layer norm before all else.
        stages: The three stages.
        gate: Fuses the layers.
        heat: Gives the temperature of a pair.
        offset: Cosine at which the confidence is 1/2; learnt.
    """

    encoding: Tensor

    def __init__(
        self,
        depths: Sequence[float],
        width: int,
        heads: int = 8,
        temperature_range: Sequence[float] = (0.05, 0.2),
    ) -> None:
        super().__init__()
        self.register_buffer("encoding", depth_encoding(depths, width))
        self.position = nn.Parameter(torch.zeros(_ROLES, len(depths), width))
        self.scale = nn.LayerNorm(width)
        self.stages = nn.ModuleList(Attend(width, heads) for _ in range(3))
        self.gate = LayerGate(len(depths), width)
        self.heat = nn.Linear(2 * width, 1)
        self.offset = nn.Parameter(torch.tensor(0.5))
        self._coldest, self._hottest = temperature_range

    def forward(self, real: Tensor, synthetic: Tensor) -> Compared:
        """Compare pairs.

        Args:
            real: Layer tokens of the real images, shape (B, layers, width).
            synthetic: Those of their partners, of the same shape.
        """
        within, between, both = self.stages
        count = real.shape[1]
        real, synthetic = self.scale(real), self.scale(synthetic)
        cosines = F.normalize(real, dim=2) @ F.normalize(synthetic, dim=2).transpose(1, 2)
        real, synthetic = (
            tokens + self.encoding + self.position[role]
            for role, tokens in enumerate((real, synthetic))
        )
        real, synthetic = within(real, real)[0], within(synthetic, synthetic)[0]
        (real, weights), (synthetic, _) = between(real, synthetic), between(synthetic, real)
        similarity = (weights * cosines).sum(dim=2).mean(dim=1)
        joined = torch.cat([real, synthetic], dim=1)
        real, synthetic = both(joined, joined)[0].split([count, count], dim=1)
        left, right = (at_least_single(self.gate(tokens)[0]) for tokens in (real, synthetic))
        share = torch.sigmoid(at_least_single(self.heat(torch.cat([left, right], dim=1))))
        temperature = self._coldest + (self._hottest - self._coldest) * share.squeeze(1)
        logits = (F.cosine_similarity(left, right, dim=1) - self.offset) / temperature
        return Compared(logits, at_least_single(similarity), left, right)


def depth_encoding(depths: Sequence[float], width: int) -> Tensor:
    """Encode where in the transformer a token comes from, by sines and cosines.

    Wavelengths go from 2 to 1/5000 of the depth, as those of Vaswani et al. (2017) go over
    positions, so that layers of any spacing and of networks of any depth are told apart.

    Returns:
        Shape (layers, width).
    """
    half = width // 2
    rates = torch.exp(torch.arange(half) / max(1, half - 1) * math.log(10_000.0))
    angles = math.pi * torch.tensor(list(depths))[:, None] * rates
    return F.pad(torch.cat([angles.sin(), angles.cos()], dim=1), (0, width - 2 * half))
