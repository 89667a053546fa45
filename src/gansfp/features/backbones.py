"""Feature extractors by name: a network of `gansfp.features.weights` and what it is to see."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gansfp.errors import UserError
from gansfp.features.cpu import tune_allocator
from gansfp.features.preprocessing import Interpolation, Preprocessing
from gansfp.features.weights import build_model as build_model
from gansfp.features.weights import feature_count as feature_count
from gansfp.features.weights import weights_hash

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

logger = logging.getLogger(__name__)

STAND_INS = {
    "efficientnet_b0": "tf_efficientnet_lite0",
    "efficientnet_b1": "tf_efficientnet_lite1",
    "efficientnet_b2": "tf_efficientnet_lite2",
    "resnet18": "tf_efficientnet_lite0",
    "resnet50": "tf_efficientnet_lite0",
    "resnetv2_50": "tf_efficientnet_lite0",
    "resnet101": "tf_efficientnet_lite0",
    "mobilenetv2_100": "tf_efficientnet_lite0",
    "densenet121": "tf_efficientnet_lite0",
}
"""Networks of recipes, and what takes their place with `weights=lite`."""

FROZEN_STAND_INS = {**STAND_INS, "vit_base_patch16_224": "tf_efficientnet_lite0"}
"""The same for networks that are not trained: random features of a transformer say nothing, but one
that a method goes on training starts at random (`gansfp.features.trainable`)."""


def stand_in(name: str, weights: str, stand_ins: Mapping[str, str] = FROZEN_STAND_INS) -> str:
    """Name the network that takes the place of another one; itself where none does.

    Args:
        name: A timm model, with or without its pretrained tag.
        weights: As in `BackboneSpec`.
        stand_ins: Which network takes the place of which.
    """
    family = name.removeprefix("tf_").split(".")[0]
    if weights != "lite" or family not in stand_ins:
        return name
    logger.info("weights=lite: %s stands in for %s", stand_ins[family], name)
    return stand_ins[family]


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone by name, in plain values; what configuration and saved methods hold.

    Attributes:
        name: A timm model, with or without its pretrained tag.
        weights: `lite` (where the network has none of these, one of `FROZEN_STAND_INS` takes its
            place), `imagenet`, `none`, or the path of a .safetensors or torch file.
        device: `auto` (the GPU where there is one), `cpu`, `cuda`, ...
        bf16: Autocast to bfloat16; None: on a GPU only, since CPU features should repeat exactly.
        seed: Seed of the random weights of `none`.
        size: Side of the input, pixels; None: that of the weights.
        normalisation: Mean and standard deviation of the input: `native` (of the weights),
            `imagenet`, `symmetric` ([-1, 1]) or `caffe`.
        interpolation: How images come to that size: `bicubic` or `bilinear`.
        antialias: Smooth before making an image smaller.
    """

    name: str = "tf_efficientnet_lite0"
    weights: str = "lite"
    device: str = "auto"
    bf16: bool | None = None
    seed: int = 0
    size: int | None = None
    normalisation: str = "native"
    interpolation: Interpolation = "bicubic"
    antialias: bool = True

    def __post_init__(self) -> None:
        """Let a network with EfficientNet-Lite weights stand in where that is asked for."""
        object.__setattr__(self, "name", stand_in(self.name, self.weights))

    def load(self) -> Backbone:
        """Build the network; see `load_backbone`."""
        backbone = load_backbone(
            self.name, self.weights, device=self.device, bf16=self.bf16, seed=self.seed
        )
        chosen = self.preprocessing(backbone.module)
        return replace(
            backbone,
            size=chosen.size,
            mean=chosen.mean,
            std=chosen.std,
            interpolation=chosen.interpolation,
            antialias=chosen.antialias,
        )

    def preprocessing(self, model: Any) -> Preprocessing:
        """Say what a timm model of this name is to see."""
        return Preprocessing.of(
            model.pretrained_cfg, self.size, self.normalisation, self.interpolation, self.antialias
        )


@dataclass(frozen=True)
class Backbone:
    """A network without its head, and the preprocessing that its weights expect.

    Attributes:
        module: The network in evaluation mode: (B, 3, size, size) to pooled features (B, dim).
        name: Name in timm.
        identity: Hash of every weight and buffer; part of the embedding cache's key.
        dim: Number of features.
        size: Side of the input, pixels.
        mean: Mean of each channel, for inputs in [0, 1].
        std: Standard deviation of each channel.
        device: Where the network is.
        bf16: Whether it runs under bfloat16 autocast.
        interpolation: How images come to the size of the input.
        antialias: Whether they are smoothed before they become smaller.
    """

    module: nn.Module = field(repr=False)
    name: str
    identity: str
    dim: int
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device
    bf16: bool = False
    interpolation: Interpolation = "bicubic"
    antialias: bool = True

    @property
    def preprocess(self) -> Preprocessing:
        """Turns grey images into network inputs, on the device that holds them."""
        return Preprocessing(self.size, self.mean, self.std, self.interpolation, self.antialias)

    @property
    def preprocessing(self) -> str:
        """Every fact beside the weights that changes the features, as one string."""
        return f"{self.preprocess}-bf16={self.bf16}"

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Embed grey images.

        Args:
            images: uint8, shape (B, H, W).

        Returns:
            float32, shape (B, dim), on the backbone's device.
        """
        x = self.preprocess(images.to(self.device, non_blocking=True))
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            return self.module(x).float()  # type: ignore[no-any-return]

    @torch.inference_mode()
    def maps(self, images: Tensor) -> Tensor:
        """Compute the last feature maps of grey images, before pooling.

        Args:
            images: uint8, shape (B, H, W).

        Returns:
            float32, shape (B, channels, h, w), on the backbone's device.

        Raises:
            UserError: The network has tokens instead of maps.
        """
        x = self.preprocess(images.to(self.device, non_blocking=True))
        network: Any = self.module
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            maps: Tensor = network.forward_features(x).float()
        if maps.ndim != 4:
            raise UserError(
                f"backbone {self.name}: it has no feature maps; take a convolutional one"
            )
        return maps


class _Stage(nn.Module):
    """The maps after one stage of a timm network, averaged over positions."""

    def __init__(self, network: nn.Module, stage: int) -> None:
        super().__init__()
        self.network, self.stage = network, stage

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, 3, size, size) to features (B, channels)."""
        network: Any = self.network
        (maps,) = network.forward_intermediates(
            x, indices=[self.stage], intermediates_only=True, stop_early=True
        )
        return maps.mean(dim=(2, 3))  # type: ignore[no-any-return]


def at_stage(backbone: Backbone, stage: int) -> Backbone:
    """Cut a backbone after one of its stages.

    Args:
        backbone: The whole network.
        stage: 0 is the first, whose maps are the largest.

    Raises:
        UserError: There is no such stage.
    """
    network: Any = backbone.module
    stages = len(getattr(network, "feature_info", ()))
    if not 0 <= stage < stages:
        raise UserError(
            f"representation stage={stage}: {backbone.name} has stages 0 to {stages - 1}"
        )
    return replace(
        backbone,
        module=_Stage(network, stage).eval(),
        identity=f"{backbone.identity}-stage{stage}",
        dim=int(network.feature_info[stage]["num_chs"]),
    )


def load_backbone(
    name: str,
    weights: str | Path = "lite",
    device: str | torch.device = "auto",
    bf16: bool | None = None,
    seed: int = 0,
) -> Backbone:
    """Build a feature extractor.

    Args:
        name: A timm model, for instance `resnet50` or `tf_efficientnet_lite0`.
        weights: See `build_model`.
        device: Where to; `auto` is the GPU where there is one.
        bf16: bfloat16 autocast; None: on a GPU only.
        seed: Seed of random weights.

    Raises:
        UserError: The name is unknown, or the weights cannot be had or do not fit.
    """
    target = device_of(device)
    if target.type == "cpu":
        tune_allocator()
    module: Any = build_model(name, weights, seed)
    module.reset_classifier(0)
    module = module.eval().requires_grad_(False).to(target, memory_format=torch.channels_last)
    wanted = Preprocessing.of(module.pretrained_cfg)
    return Backbone(
        module=module,
        name=name,
        identity=weights_hash(module),
        dim=feature_count(module),
        size=wanted.size,
        mean=wanted.mean,
        std=wanted.std,
        device=target,
        bf16=target.type == "cuda" if bf16 is None else bf16,
    )


def device_of(device: str | torch.device) -> torch.device:
    """Resolve `auto`: the GPU where there is one."""
    if str(device) != "auto":
        return torch.device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
