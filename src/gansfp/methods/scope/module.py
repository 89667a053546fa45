"""Siamese twins with cross-attention, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import torch
from torch.nn import functional as F

from gansfp.errors import UserError
from gansfp.features.trainable import TrainableBackbone
from gansfp.losses.angular import AngularLoss
from gansfp.methods.experts.network import trainable
from gansfp.methods.pairing import PartneredModule, check_partners
from gansfp.methods.scope.network import Tokens, TwinHead, TwinTokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


class TwinsModule(PartneredModule):
    """Compare real with synthetic images by twins that attend to each other (run 1160).

    Training compares pairs of a real and a synthetic image: "real_image", "generated_image" and
    "same" (1 where the real image was used), as `gansfp.data.pairs.ClassPairs` makes them. The loss
    is the cross-entropy, and with `angular` above 0 an angular term beside it. The score of a real
    image is its mean confidence over some synthetic partners, the same for all images.

    Attributes:
        branch: From images to tokens.
        head: Compares tokens.
        angular: The angular loss.
    """

    def __init__(
        self,
        backbone: str = "resnet50",
        weights: str = "imagenet",
        size: int | None = None,
        tokens: Tokens = "map",
        width: int = 512,
        heads: int = 8,
        depth: int = 1,
        hidden: Sequence[int] = (512, 128),
        angular: float = 0.0,
        angular_margin: float = 0.5,
        partners: int = 50,
        partner_seed: int = 0,
        lr: float = 1e-4,
    ) -> None:
        """Build the network; every argument is a hyperparameter.

        Args:
            backbone: A timm model.
            weights: Where its weights come from (`gansfp.features.backbones`).
            size: Side of its input, pixels; None: that of its weights.
            tokens: `map` or `global`; see `TwinTokens`.
            width: Size of a token.
            heads: Heads of the attention.
            depth: Layers of attention.
            hidden: Hidden layers of the perceptron.
            angular: Weight of the angular loss.
            angular_margin: Its margin.
            partners: Synthetic images that each real one is compared with.
            partner_seed: Chooses them.
            lr: Learning rate of Adam.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__()
        if tokens not in get_args(Tokens):
            raise UserError(f"method.tokens={tokens}: choose map or global")
        if width % heads:
            raise UserError(f"method.heads={heads}: must divide method.width={width}")
        check_partners(partners)
        hidden = list(hidden)
        self.save_hyperparameters()
        self.branch = TwinTokens(TrainableBackbone(backbone, weights, size), width, tokens)
        self.head = TwinHead(width, heads, depth, hidden)
        self.angular = AngularLoss(angular_margin)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of a batch of pairs."""
        both = self.branch(torch.cat([batch["real_image"], batch["generated_image"]]))
        found = self.head(*both.chunk(2))
        used = batch["same"]
        loss = F.binary_cross_entropy_with_logits(found.logits, used.to(found.logits.dtype))
        if self.hparams["angular"]:
            loss = loss + self.hparams["angular"] * self.angular(found.left, found.right, used)
        size = len(used)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam at one rate."""
        return torch.optim.Adam(trainable(self.parameters()), lr=self.hparams["lr"])

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Embed a batch as flat tokens, shape (B, N * width)."""
        tokens: Tensor = self.branch(batch["image"])
        return tokens.flatten(1)

    def compared_part(self) -> nn.Module:
        """Name the head."""
        return self.head

    def confidence(self, real: Tensor, partners: Tensor) -> Tensor:
        """Compare flat tokens."""
        tokens = (flat.view(len(flat), -1, self.hparams["width"]) for flat in (real, partners))
        logits: Tensor = self.head(*tokens).logits
        return logits
