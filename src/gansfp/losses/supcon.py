"""Supervised contrastive loss over the batch of all processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from pytorch_metric_learning.losses import SupConLoss
from torch import nn

from gansfp.losses.gather import gather_batch
from gansfp.losses.infonce import at_least_single

if TYPE_CHECKING:
    from torch import Tensor


class SupCon(nn.Module):
    """Pull embeddings of one label together (Khosla et al., NeurIPS 2020), across processes.

    The loss itself is pytorch-metric-learning's; every process computes it on the joined batch.

    Attributes:
        loss: Its `temperature` divides the cosines.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        self.loss = SupConLoss(temperature=temperature)

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss.

        Args:
            embeddings: Of this process's share, shape (b, D); they are scaled to unit length.
            labels: Shape (b,).

        Returns:
            A scalar; 0 where no label occurs twice.
        """
        joined, names = gather_batch(at_least_single(embeddings)), gather_batch(labels)
        with torch.autocast(joined.device.type, enabled=False):  # as in InfoNCE
            loss: Tensor = self.loss(joined, names)
        return loss
