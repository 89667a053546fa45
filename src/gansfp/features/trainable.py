"""A pretrained network as a part that a method trains on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gansfp.errors import UserError
from gansfp.features import backbones
from gansfp.features.preprocessing import Preprocessing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

logger = logging.getLogger(__name__)

_SEEDS = 1 << 31


class TrainableBackbone(nn.Module):
    """A timm network without its classifier, that takes grey values and is trained further.

    It starts random: `load_pretrained` reads the weights, once a fit starts. A checkpoint that is
    read back needs neither a download nor the file that the weights came from.

    Args:
        name: A timm model, for instance `resnet50`.
        weights: `imagenet`, `lite`, `none` or a file (see `gansfp.features.backbones`). With
            `lite`, transformers start at random: there are no such weights to stand in.
        size: Side of the network's input, pixels; None, and networks of a fixed size: that of its
            weights.
        frozen: Keep the weights and the statistics of its batch norms.

    Attributes:
        network: The timm model.
        dim: Number of pooled features.
    """

    def __init__(
        self, name: str, weights: str = "imagenet", size: int | None = None, frozen: bool = False
    ) -> None:
        super().__init__()
        self.name = backbones.stand_in(name, str(weights), backbones.STAND_INS)
        self.weights, self.frozen = str(weights), frozen
        # Drawn from the global generator: random weights differ by the seed of the run.
        network: Any = backbones.build_model(self.name, "none", int(torch.randint(_SEEDS, ())))
        network.reset_classifier(0)
        self.network = network.to(memory_format=torch.channels_last)
        if network.pretrained_cfg.get("fixed_input_size"):
            size = None
        self.dim = backbones.feature_count(network)
        self._preprocess = Preprocessing.of(network.pretrained_cfg, size)
        self.requires_grad_(not frozen)
        self.train()

    def load_pretrained(self) -> None:
        """Read the weights that were asked for.

        Raises:
            UserError: They cannot be had, or do not fit.
        """
        if self.weights == "none":
            return
        if self.weights == "lite" and self._is_transformer:
            logger.info("weights=lite: %s has none and starts at random", self.name)
            return
        loaded: Any = backbones.build_model(self.name, self.weights)
        loaded.reset_classifier(0)
        self.network.load_state_dict(loaded.state_dict())

    @property
    def _is_transformer(self) -> bool:
        return bool(getattr(self.network, "num_prefix_tokens", 0))

    def train(self, mode: bool = True) -> TrainableBackbone:
        """Switch the mode; a frozen network stays in evaluation."""
        return super().train(mode and not self.frozen)

    @property
    def size(self) -> int:
        """Side of the input, pixels."""
        return self._preprocess.size

    def prepare(self, images: Tensor) -> Tensor:
        """Resize and standardise grey images to the network's input, (B, 3, size, size)."""
        return self._preprocess(images).to(next(self.network.parameters()).dtype)

    def forward(self, images: Tensor) -> Tensor:
        """Embed images.

        Args:
            images: Grey, uint8 or float in [0, 1], shape (B, H, W).

        Returns:
            Pooled features, shape (B, dim).
        """
        features: Tensor = self.network(self.prepare(images))
        return features

    def tokens(self, images: Tensor) -> Tensor:
        """Embed images place by place.

        Args:
            images: As in `forward`.

        Returns:
            Cells of the last feature map, row by row, or patch tokens, shape (B, N, channels).
        """
        features: Tensor = self.network.forward_features(self.prepare(images))
        if features.ndim == 4:
            return features.flatten(2).transpose(1, 2)
        return features[:, getattr(self.network, "num_prefix_tokens", 0) :]

    @property
    def channels(self) -> int:
        """Count the channels of `tokens`."""
        return int(self.network.num_features)

    @property
    def depth(self) -> int:
        """Count the blocks of a vision transformer with a class token.

        Raises:
            UserError: The network is none.
        """
        depth = len(getattr(self.network, "blocks", ()))
        if not depth or not self._is_transformer:
            raise UserError(f"backbone {self.name}: has no class token; take a vision transformer")
        return depth

    def freeze_after(self, block: int) -> None:
        """Keep what comes after a block, from 1, as it is: no gradient reaches it."""
        self.network.requires_grad_(False)
        for name, parameter in self.network.named_parameters():
            part, _, rest = name.partition(".")
            later = part == "blocks" and int(rest.partition(".")[0]) >= block
            parameter.requires_grad = not (self.frozen or later or part in ("norm", "fc_norm"))

    def blocks(self, images: Tensor, indices: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """Give the class token and the patch tokens after some blocks of a vision transformer.

        Args:
            images: As in `forward`.
            indices: Numbers of the blocks, from 1.

        Returns:
            For each block the class token, (B, dim), and the patch tokens, (B, N, dim).

        Raises:
            UserError: The network is no transformer with a class token, or has fewer blocks.
        """
        if not all(1 <= index <= self.depth for index in indices):
            raise UserError(
                f"method.layers={list(indices)}: {self.name} has blocks 1 to {self.depth}"
            )
        found = self.network.forward_intermediates(
            self.prepare(images),
            indices=[index - 1 for index in indices],
            return_prefix_tokens=True,
            output_fmt="NLC",
            stop_early=True,
            intermediates_only=True,
        )
        return [(prefix[:, 0], patches) for patches, prefix in found]
