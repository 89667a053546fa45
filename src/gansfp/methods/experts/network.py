"""Several backbones as experts: a gate weighs them, attention lets them look at each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from gansfp.errors import UserError
from gansfp.features.trainable import TrainableBackbone

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor


class GatedAttentionFusion(nn.Module):
    """Fuse one vector from each expert into one (taozi's run 1874, ImageCLEFmedical GANs 2025).

    Each vector is brought to `width` by a linear layer, where it is not so wide, and to unit
    length. A gate (two layers, GELU, softmax) weighs the experts by all their vectors side by side;
    self-attention over the experts mixes them; the result is the weighted sum of what attention
    gives.

    Args:
        dims: Size of each expert's vector.
        width: Common size.
        hidden: Hidden layer of the gate.
        heads: Heads of the attention; a divisor of `width`.

    Attributes:
        adapters: Linear layers, or identities.
        gate: From (B, experts * width) to logits (B, experts).
        attention: `torch.nn.MultiheadAttention` over the experts.
    """

    def __init__(
        self, dims: Sequence[int], width: int = 2048, hidden: int = 512, heads: int = 8
    ) -> None:
        super().__init__()
        if width % heads:
            raise UserError(f"method.heads={heads}: must divide method.width={width}")
        self.adapters = nn.ModuleList(
            nn.Identity() if dim == width else nn.Linear(dim, width) for dim in dims
        )
        count = len(dims)
        self.gate = nn.Sequential(
            nn.Linear(count * width, hidden), nn.GELU(), nn.Linear(hidden, count)
        )
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, vectors: Sequence[Tensor], attend: bool = True) -> tuple[Tensor, Tensor]:
        """Fuse.

        Args:
            vectors: One for each expert, shapes (B, dim).
            attend: Let the experts attend to each other; without, the vectors themselves are
                summed, and are not scaled to unit length (defect `momentum_shortcut` of the
                published code).

        Returns:
            The fused vectors, shape (B, width), and the gate's weights, shape (B, experts), whose
            rows sum to one.
        """
        adapted = [adapt(x) for adapt, x in zip(self.adapters, vectors, strict=True)]
        tokens = torch.stack(adapted, dim=1)
        if attend:
            tokens = F.normalize(tokens, dim=2)
        weights = self.gate(tokens.flatten(1)).softmax(dim=1)
        if attend:
            tokens = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return torch.einsum("be,bed->bd", weights, tokens), weights


class MixtureOfExperts(nn.Module):
    """Any list of backbones, fused by `GatedAttentionFusion`; one backbone alone is itself.

    Args:
        experts: timm models.
        weights: Where their weights come from; one for all.
        size: Side of their inputs, pixels; None: those of their weights.
        width: See `GatedAttentionFusion`.
        hidden: See `GatedAttentionFusion`.
        heads: See `GatedAttentionFusion`.
        frozen: Keep the backbones as they are.

    Attributes:
        experts: The backbones.
        fusion: The fusion; None for one backbone.
        dim: Size of the fused vector.
    """

    def __init__(
        self,
        experts: Sequence[str],
        weights: str = "imagenet",
        size: int | None = None,
        width: int = 2048,
        hidden: int = 512,
        heads: int = 8,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(experts, str) or not experts:
            raise UserError(f"method.experts={experts}: give a list of timm models")
        self.experts = nn.ModuleList(
            TrainableBackbone(name, weights, size, frozen) for name in experts
        )
        dims = [int(expert.dim) for expert in self.experts]  # type: ignore[arg-type]
        single = len(dims) == 1
        self.fusion = None if single else GatedAttentionFusion(dims, width, hidden, heads)
        self.dim = dims[0] if single else width

    def forward(self, images: Tensor, attend: bool = True) -> tuple[Tensor, Tensor]:
        """Embed images.

        Args:
            images: Grey, uint8 or float in [0, 1], shape (B, H, W).
            attend: See `GatedAttentionFusion`.

        Returns:
            Vectors, shape (B, dim), and the weights of the experts, shape (B, experts).
        """
        vectors = [expert(images) for expert in self.experts]
        if self.fusion is None:
            return vectors[0], vectors[0].new_ones(len(images), 1)
        fused: tuple[Tensor, Tensor] = self.fusion(vectors, attend)
        return fused

    def fine_tuned(self) -> list[nn.Parameter]:
        """List the parameters of the backbones, which take a smaller learning rate."""
        return trainable(self.experts.parameters())

    def added(self) -> list[nn.Parameter]:
        """List the parameters of the fusion, which start random."""
        return [] if self.fusion is None else trainable(self.fusion.parameters())


def gate_entropy(weights: Tensor) -> Tensor:
    """Compute the mean entropy of the experts' weights, shape (B, experts), in nats."""
    safe = weights.float().clamp_min(torch.finfo(torch.float32).tiny)
    return -(safe * safe.log()).sum(dim=1).mean()


def trainable(parameters: Iterable[nn.Parameter]) -> list[nn.Parameter]:
    """Keep the parameters that take a gradient."""
    return [parameter for parameter in parameters if parameter.requires_grad]
