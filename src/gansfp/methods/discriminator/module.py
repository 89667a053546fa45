"""A CNN of synthetic images against images not used, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gansfp.data.augment.pipeline import unit_range
from gansfp.errors import UserError
from gansfp.methods.discriminator.network import CropNet, even_crops, random_crops
from gansfp.methods.folded import FoldedModule

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule

_OUTSIDERS = 1 << 20
"""Images not used take other random numbers than the synthetic ones beside them."""


class DiscriminatorModule(FoldedModule):
    """Does it look synthetic to a network of crops that tells synthetic images from others?

    LOGAN's black-box attack (Hayes et al., PoPETs 2019) with a discriminator alone. Every batch
    holds as many images of each kind; a network that would see one kind alone in a batch, because
    all images not used in it are of its own fold, learns nothing from it.

    Attributes:
        networks: One a fold.
    """

    def __init__(
        self,
        crop: int = 32,
        grid: int = 3,
        width: int = 16,
        stages: int = 3,
        dropout: float = 0.2,
        folds: int = 5,
        lr: float = 1e-3,
        weight_decay: float = 1e-2,
        seed: int = 0,
    ) -> None:
        """Build the networks; every argument is a hyperparameter.

        Args:
            crop: Side of the squares, pixels; as large as the image at most.
            grid: Squares along each axis whose logits are averaged.
            width: Channels of the first stage.
            stages: Number of stages.
            dropout: Share of the features that are dropped in training.
            folds: Parts of the known non-members.
            lr: Learning rate of AdamW.
            weight_decay: Its weight decay.
            seed: Of the crops.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__(folds)
        for key, value in (("crop", crop), ("grid", grid), ("stages", stages), ("width", width)):
            if value < 1:
                raise UserError(f"method.{key}={value}: must be at least 1")
        self.save_hyperparameters()
        self.networks = nn.ModuleList(CropNet(width, stages, dropout) for _ in range(folds))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Cross-entropy of each network, both kinds weighing the same."""
        keys = self.draw_keys(batch["image"], batch_idx)
        made = random_crops(unit_range(batch["image"]), keys, self._crop(batch["image"]))
        real = random_crops(
            unit_range(batch["outsider_image"]), keys + _OUTSIDERS, self._crop(batch["image"])
        )
        loss = made.new_zeros(())
        for network, seen in zip(self.networks, self.seen(batch), strict=True):
            loss = loss + two_kinds_loss(network(torch.cat([made, real])).float(), seen)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(made))
        return loss

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Mean logit over even crops by the network of the own fold, (B, 1)."""
        images = unit_range(batch["image"])
        crops = even_crops(images, self._crop(images), self.hparams["grid"])

        def logit(number: int, at: Tensor) -> Tensor:
            logits: Tensor = self.networks[number](crops[at].flatten(0, 1))
            return logits.view(len(at), -1).mean(dim=1)

        return self.by_fold(batch["row"], logit)[:, None]

    def configure_optimizers(self) -> Any:
        """AdamW at one rate."""
        chosen = self.hparams
        return torch.optim.AdamW(
            self.parameters(), lr=chosen["lr"], weight_decay=chosen["weight_decay"]
        )

    def scores(
        self,
        outputs: Tensor,
        output_rows: NDArray[np.int64],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Take the logits; see `BenchmarkModule`."""
        return np.asarray(outputs[:, 0].double().numpy()[np.searchsorted(output_rows, rows)])

    def _crop(self, images: Tensor) -> int:
        side: int = min(self.hparams["crop"], *images.shape[1:])
        return side


def two_kinds_loss(logits: Tensor, seen: Tensor) -> Tensor:
    """Cross-entropy of synthetic images (1) and the others that may be seen (0), half each.

    Args:
        logits: Of B synthetic images, then of B others, shape (2 B,).
        seen: Others that the network may learn from, bool, shape (B,).

    Returns:
        A scalar; 0 where no other may be seen, since one kind alone teaches the wrong thing.
    """
    made, real = logits.chunk(2)
    others = (F.softplus(real) * seen).sum() / seen.sum().clamp(min=1)
    loss: Tensor = (F.softplus(-made).mean() + others) / 2 * seen.any()
    return loss
