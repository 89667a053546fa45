"""Relation network as a benchmark method."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from gansfp.features.trainable import TrainableBackbone
from gansfp.methods.optimisation import make_optimiser
from gansfp.methods.pairing import PartneredModule, check_partners
from gansfp.methods.relation.network import MapBranch, RelationModule

if TYPE_CHECKING:
    from torch import Tensor, nn


class RelationNetworkModule(PartneredModule):
    """Learn how a used image relates to synthetic ones (SSN, ImageCLEFmedical GANs 2023).

    Training compares pairs of a real and a synthetic image: "real_image", "generated_image" and
    "same" (1 where the real image was used), as `gansfp.data.pairs.ClassPairs` makes them. The loss
    is the squared error of the relation, the sigmoid of the logit, as in Sung et al. (CVPR 2018).
    The score of a real image is its mean relation to some synthetic partners.

    Attributes:
        real_branch: Maps of real images.
        made_branch: Maps of synthetic images; a network of its own.
        relation: Compares maps.
    """

    def __init__(
        self,
        backbone: str = "resnet101",
        weights: str = "none",
        size: int | None = None,
        hidden: int = 8,
        partners: int = 50,
        partner_seed: int = 0,
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
    ) -> None:
        """Build the networks; every argument is a hyperparameter.

        Args:
            backbone: A convolutional timm model.
            weights: Where its weights come from (`gansfp.features.backbones`).
            size: Side of its input, pixels; None: that of its weights.
            hidden: Hidden layer of the relation module.
            partners: Synthetic images that each real one is compared with.
            partner_seed: Chooses them.
            lr: Learning rate of SGD.
            momentum: Of SGD.
            weight_decay: Of SGD.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__()
        check_partners(partners)
        self.save_hyperparameters()
        self.real_branch, self.made_branch = (
            MapBranch(TrainableBackbone(backbone, weights, size)) for _ in range(2)
        )
        self.relation = RelationModule(self.real_branch.backbone.channels, hidden)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of a batch of pairs."""
        maps = self.real_branch(batch["real_image"]), self.made_branch(batch["generated_image"])
        logits, used = self.relation(*maps), batch["same"]
        loss: Tensor = F.mse_loss(torch.sigmoid(logits), used.to(logits.dtype))
        size = len(used)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD at one rate."""
        chosen = self.hparams
        return make_optimiser(
            "sgd", self.parameters(), chosen["lr"], chosen["weight_decay"], chosen["momentum"]
        )

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Embed a batch by both networks, flat: shape (B, 2 * channels * h * w)."""
        maps = [branch(batch["image"]) for branch in (self.real_branch, self.made_branch)]
        return torch.cat(maps, dim=1).flatten(1)

    def compared_part(self) -> nn.Module:
        """Name the relation module."""
        return self.relation

    def confidence(self, real: Tensor, partners: Tensor) -> Tensor:
        """Compare flat maps: those of the first network with those of the second."""
        channels = self.real_branch.backbone.channels
        side = math.isqrt(real.shape[1] // (2 * channels))
        left, right = (flat.view(-1, 2 * channels, side, side) for flat in (real, partners))
        logits: Tensor = self.relation(left[:, :channels], right[:, channels:])
        return logits
