"""The margin-based contrastive loss of Siamese networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-12
"""Under the root of the distance: without it the gradient at distance 0 is NaN."""


class ContrastiveLoss(nn.Module):
    """Pull pairs of the same class together, push others apart up to a margin.

    loss = mean of y d^2 + (1 - y) max(0, margin - d)^2, with y = 1 for "same" and d the Euclidean
    distance (Hadsell, Chopra and LeCun, CVPR 2006, with labels turned round; ImageCLEFmedical GANs
    2025, run 1396).

    Attributes:
        margin: Distance beyond which different pairs cost nothing.
    """

    def __init__(self, margin: float = 1.0) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, left: Tensor, right: Tensor, same: Tensor) -> Tensor:
        """Compute the mean loss of pairs.

        Args:
            left: Embeddings, shape (B, D).
            right: Embeddings of the partners, shape (B, D).
            same: 1 for the same class, 0 for different ones, shape (B,), any dtype.

        Returns:
            The mean, a scalar.
        """
        squared = (left - right).square().sum(dim=1) + EPSILON
        gap = torch.relu(self.margin - squared.sqrt())
        y = same.to(squared.dtype)
        return (y * squared + (1 - y) * gap.square()).mean()
