"""Tiny networks with timm's face, in the place of those that recipes name."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import nn

SIZE = 32


def small_model(
    name: str, weights: str = "none", seed: int = 0, num_classes: int = 1000
) -> nn.Module:
    """Stand for `build_model`: `monkeypatch.setattr(backbones, "build_model", small_model)`.

    Transformers become 12 blocks of the width of timm's smallest one, everything else its smallest
    ResNet or EfficientNet, for images of 32x32; weights are random.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any
        if "vit" in name:
            model = timm.create_model("test_vit", img_size=SIZE, patch_size=8, depth=12)
        else:
            kind = "test_efficientnet" if "efficientnet" in name else "test_resnet"
            model = timm.create_model(kind)
    model.pretrained_cfg = dict(model.pretrained_cfg, input_size=(3, SIZE, SIZE))
    model.reset_classifier(num_classes)
    return model
