"""Siamese twins with cross-attention, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.errors import UserError
from gansfp.features.trainable import TrainableBackbone
from gansfp.losses.angular import AngularLoss
from gansfp.methods.experts.network import trainable
from gansfp.methods.pairing import compare_pairs, on_scoring_device
from gansfp.methods.pretrained import PretrainedModule
from gansfp.methods.scope.network import Tokens, TwinHead, TwinTokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule


class TwinsModule(PretrainedModule):
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

    uses_synthetic = "mean"

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
        if partners < 1:
            raise UserError(f"method.partners={partners}: must be at least 1")
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

    def predict_rows(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Name the rows themselves and their partners."""
        return np.union1d(rows, self._partners(data))

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Embed a batch as flat tokens, shape (B, N * width)."""
        tokens: Tensor = self.branch(batch["image"])
        return tokens.flatten(1)

    def scores(
        self,
        outputs: Tensor,
        output_rows: NDArray[np.int64],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Average the confidences over the partners; see the class and `BenchmarkModule`."""
        if not len(rows):
            return np.empty(0)
        tokens = outputs.detach().cpu().view(len(outputs), -1, self.hparams["width"])
        places = [np.searchsorted(output_rows, wanted) for wanted in (rows, self._partners(data))]
        real, partners = (torch.from_numpy(place) for place in places)
        with on_scoring_device(self, self.head) as device:
            (logits,) = compare_pairs(
                lambda left, right: self.head(left, right)[:1],
                tokens,
                tokens,
                torch.cartesian_prod(real, partners).view(-1, 2),
                device,
                chunk=512,
            )
        confidences: NDArray[np.float64] = torch.sigmoid(logits).view(len(real), -1).numpy()
        return np.asarray(confidences.mean(axis=1))

    def _partners(self, data: BenchmarkDataModule) -> NDArray[np.int64]:
        rows = data.generated_rows
        if not len(rows):
            raise UserError("data.root: there are no synthetic images to compare with")
        generator = np.random.default_rng(self.hparams["partner_seed"])
        count = min(self.hparams["partners"], len(rows))
        return np.sort(generator.choice(rows, count, replace=False))
