"""Masked-patch prediction as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from gansfp.data.augment.pipeline import unit_range
from gansfp.data.draws import uniform
from gansfp.errors import UserError
from gansfp.methods.folded import FoldedModule
from gansfp.methods.inpainting.network import (
    Inpainter,
    balanced_masks,
    check_squares,
    hidden_squares,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule

_TINY = 1e-8


class InpaintingModule(FoldedModule):
    """How much better synthetic images teach to restore an image than images not used do.

    score = log e_R(x) - log e_S(x), with e the mean squared error at hidden places, averaged over
    masks, of a network that saw synthetic images alone (S), or of one of the same kind that saw
    known non-members alone (R), out of fold. It is the image's analogue of MIA-EPT (German et al.,
    2025), which predicts the attributes of a record from each other.

    Attributes:
        synthetic: The network of the synthetic images.
        outsiders: Those of the known non-members, one a fold.
    """

    def __init__(
        self,
        image_size: int | None = None,
        square: int = 16,
        share: float = 0.25,
        masks: int = 8,
        width: int = 16,
        folds: int = 5,
        lr: float = 2e-3,
        seed: int = 0,
    ) -> None:
        """Build the networks; every argument is a hyperparameter.

        Args:
            image_size: Side of the images, pixels.
            square: Side of a hidden square, pixels.
            share: Of the squares that are hidden at once.
            masks: Of each image that is scored.
            width: Channels of the networks' first level.
            folds: Parts of the known non-members.
            lr: Learning rate of Adam.
            seed: Of the masks.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__(folds)
        if not 0 < share < 1:
            raise UserError(f"method.share={share}: must lie between 0 and 1")
        if masks < 1:
            raise UserError(f"method.masks={masks}: must be at least 1")
        if not isinstance(image_size, int):
            raise UserError(f"method.image_size={image_size}: inpainting takes square images")
        check_squares(image_size, square)
        self.save_hyperparameters()
        self.synthetic = Inpainter(width)
        self.outsiders = nn.ModuleList(Inpainter(width) for _ in range(folds))
        self.to(memory_format=torch.channels_last)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Mean squared error at hidden places, of each network on its own images."""
        hidden = self._hide(uniform(self.draw_keys(batch["image"], batch_idx), self._cells))
        made, real = (unit_range(batch[name]) for name in ("image", "outsider_image"))
        loss: Tensor = self._errors(self.synthetic, made, hidden).mean()
        for network, seen in zip(self.outsiders, self.seen(batch), strict=True):
            error = self._errors(network, real, hidden)
            loss = loss + (error * seen).sum() / seen.sum().clamp(min=1)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(made))
        return loss

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Errors of a batch: by the network of synthetic images, and by that of the own fold."""
        chosen = self.hparams
        orders = balanced_masks(
            chosen["image_size"], chosen["square"], chosen["share"], chosen["masks"], chosen["seed"]
        )
        images = unit_range(batch["image"])
        total = images.new_zeros((len(images), 2))
        for order in torch.from_numpy(orders).to(images.device):
            hidden = self._hide(order[None]).expand_as(images)

            def error(number: int, at: Tensor, hidden: Tensor = hidden) -> Tensor:
                return self._errors(self.outsiders[number], images[at], hidden[at])

            made = self._errors(self.synthetic, images, hidden)
            total += torch.stack([made, self.by_fold(batch["row"], error)], dim=1)
        return total / len(orders)

    def configure_optimizers(self) -> Any:
        """Adam at one rate."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])

    def scores(
        self,
        outputs: Tensor,
        output_rows: NDArray[np.int64],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Compare the errors; see `BenchmarkModule`."""
        logs = np.log(outputs.double().numpy() + _TINY)
        return np.asarray((logs[:, 1] - logs[:, 0])[np.searchsorted(output_rows, rows)])

    @property
    def _cells(self) -> int:
        return int((self.hparams["image_size"] // self.hparams["square"]) ** 2)

    def _hide(self, order: Tensor) -> Tensor:
        chosen = self.hparams
        return hidden_squares(order, chosen["image_size"], chosen["square"], chosen["share"])

    @staticmethod
    def _errors(network: nn.Module, images: Tensor, hidden: Tensor) -> Tensor:
        """Mean squared error of each image at its hidden places, shape (B,)."""
        restored = network(images, hidden).float()
        squared: Tensor = (restored - images.float()).square() * hidden
        return squared.sum(dim=(1, 2)) / hidden.sum(dim=(1, 2))
