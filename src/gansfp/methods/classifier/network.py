"""A pretrained network with a new head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gansfp.features import backbones

if TYPE_CHECKING:
    from torch import Tensor

    from gansfp.features.backbones import BackboneSpec


class ClassifierNetwork(nn.Module):
    """Grey images to class scores: preprocessing, backbone, dropout, one linear layer.

    It starts with random weights, so that a fitted one can be read back where pretrained weights
    are not at hand; `load_pretrained` fetches these.

    Args:
        spec: Which backbone, and what its input looks like.
        outputs: Number of classes.
        dropout: Share of the features that are dropped in training.

    Attributes:
        backbone: The network without its head.
        head: The linear layer.
        preprocess: From grey images to inputs of the backbone.
    """

    def __init__(self, spec: BackboneSpec, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        model: Any = backbones.build_model(spec.name, "none", spec.seed)
        self.preprocess = spec.preprocessing(model)
        model.reset_classifier(0)
        self.backbone: nn.Module = model
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(backbones.feature_count(model), outputs)
        self._spec = spec
        self.to(memory_format=torch.channels_last)

    def load_pretrained(self) -> None:
        """Give the backbone the weights of its specification.

        Raises:
            UserError: They cannot be had.
        """
        if self._spec.weights == "none":
            return
        model: Any = backbones.build_model(self._spec.name, self._spec.weights, self._spec.seed)
        model.reset_classifier(0)
        self.backbone.load_state_dict(model.state_dict())

    def features(self, images: Tensor) -> Tensor:
        """Embed images: uint8, or float in [0, 1], (B, H, W), to (B, dim)."""
        embedded: Tensor = self.backbone(self.preprocess(images))
        return embedded

    def forward(self, images: Tensor) -> Tensor:
        """Score images: uint8, or float in [0, 1], (B, H, W), to logits (B, outputs)."""
        logits: Tensor = self.head(self.dropout(self.features(images)))
        return logits
