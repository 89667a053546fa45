"""Encoder, projection head and temperature head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from gansfp.losses.infonce import at_least_single
from gansfp.methods.experts.network import MixtureOfExperts, trainable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

Norm = Literal["batch", "layer"]


class Embedded(NamedTuple):
    """What the network says of images."""

    vectors: Tensor
    """Embeddings, shape (B, D), of unit length unless asked otherwise; at least fp32."""
    temperatures: Tensor
    """Of each image, shape (B,)."""
    gates: Tensor
    """Weights of the experts, shape (B, experts)."""


class ContrastiveNetwork(nn.Module):
    """Embed images on the unit sphere, each with a temperature.

    Args:
        encoder: One backbone or several.
        projector: Outputs of the projection head's layers.
        norm: `batch`: each layer is linear, batch norm, ReLU (so that embeddings are not
            negative). `layer`: linear, ReLU, layer norm.
        temperature: The same for all images; None: each has its own.
        temperature_range: Bounds of the images' own temperatures.
        temperature_hidden: Hidden layers of the head that gives them, with ReLU.

    Attributes:
        encoder: The backbones.
        projector: The projection head.
        heat: The temperature head; None where the temperature is fixed.
    """

    def __init__(
        self,
        encoder: MixtureOfExperts,
        projector: Sequence[int],
        norm: Norm = "batch",
        temperature: float | None = None,
        temperature_range: Sequence[float] = (0.05, 0.2),
        temperature_hidden: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = projection(encoder.dim, projector, norm)
        self.heat = _mlp(projector[-1], temperature_hidden) if temperature is None else None
        self._temperature = temperature
        self._coldest, self._hottest = temperature_range

    def forward(self, images: Tensor, unit: bool = True, attend: bool = True) -> Embedded:
        """Embed images.

        Args:
            images: Grey, uint8 or float in [0, 1], shape (B, H, W).
            unit: Scale the embeddings to unit length.
            attend: See `gansfp.methods.experts.network.GatedAttentionFusion`.
        """
        features, gates = self.encoder(images, attend)
        vectors = at_least_single(self.projector(features))
        temperatures = vectors.new_full((len(vectors),), self._temperature or 0.0)
        if self.heat is not None:
            share = torch.sigmoid(at_least_single(self.heat(vectors)).squeeze(1))
            temperatures = self._coldest + (self._hottest - self._coldest) * share
        return Embedded(F.normalize(vectors, dim=1) if unit else vectors, temperatures, gates)

    def added(self) -> list[nn.Parameter]:
        """List the parameters that start random."""
        heads = [self.projector] if self.heat is None else [self.projector, self.heat]
        own = [parameter for head in heads for parameter in trainable(head.parameters())]
        return [*self.encoder.added(), *own]


def projection(inside: int, layers: Sequence[int], norm: Norm) -> nn.Sequential:
    """Build the projection head; see `ContrastiveNetwork`."""
    modules: list[nn.Module] = []
    for outside in layers:
        modules.append(nn.Linear(inside, outside))
        if norm == "batch":
            modules += [nn.BatchNorm1d(outside), nn.ReLU()]
        else:
            modules += [nn.ReLU(), nn.LayerNorm(outside)]
        inside = outside
    return nn.Sequential(*modules)


def _mlp(inside: int, hidden: Sequence[int]) -> nn.Sequential:
    modules: list[nn.Module] = []
    for outside in hidden:
        modules += [nn.Linear(inside, outside), nn.ReLU()]
        inside = outside
    return nn.Sequential(*modules, nn.Linear(inside, 1))
