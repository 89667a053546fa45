"""A margin loss on the angle between the two vectors of a pair."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor


class AngularLoss(nn.Module):
    """Turn pairs of the same class together, others apart up to a margin.

    loss = mean of y (1 - cos) + (1 - y) max(0, cos - margin), with y = 1 for "same" (Kalinathan et
    al., Scientific Reports 2026, as told second hand).

    Attributes:
        margin: Cosine below which different pairs cost nothing.
    """

    def __init__(self, margin: float = 0.5) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, left: Tensor, right: Tensor, same: Tensor) -> Tensor:
        """Compute the mean loss of pairs.

        Args:
            left: Vectors, shape (B, D).
            right: Vectors of the partners, shape (B, D).
            same: 1 for the same class, 0 for different ones, shape (B,), any dtype.

        Returns:
            The mean, a scalar.
        """
        cosine = F.cosine_similarity(left, right, dim=1)
        y = same.to(cosine.dtype)
        return (y * (1 - cosine) + (1 - y) * torch.relu(cosine - self.margin)).mean()
