"""A small network on enhanced images, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.errors import UserError
from gansfp.features.pairwise import cosine_matrix, jaccard_matrix
from gansfp.features.similarities import stretched
from gansfp.features.ssim import ssim_matrix
from gansfp.methods.base import BenchmarkModule
from gansfp.methods.pairing import outputs_of
from gansfp.methods.zoq.network import SmallCNN, enhanced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.features.enhance import Filter

    Rows = NDArray[np.int64]

Measure = Literal["ssim", "cosine", "jaccard"]


class EnhancedCNNModule(BenchmarkModule):
    """Learn used from unused images, compare feature maps with synthetic ones (ZOQ, run 1355).

    Channels of the network are the enhancements of an image. It learns by the cross-entropy of
    labelled images: batches hold "image" and "label", as `gansfp.data.pairs.Images` makes them.
    The score of a real image is the largest similarity of its last feature maps, averaged over
    channels, to those of a synthetic image: SSIM of maps stretched to 0..255, cosine, or the
    Jaccard index of the places above the map's mean.

    Attributes:
        network: The network.
    """

    uses_synthetic = "nearest"

    def __init__(
        self,
        filters: Sequence[Filter] = ("gaussian", "laplacian", "hessian", "bilateral"),
        channels: Sequence[int] = (32, 64, 128),
        measure: Measure = "ssim",
        window: int = 7,
        lr: float = 1e-3,
    ) -> None:
        """Build the network; every argument is a hyperparameter.

        Args:
            filters: Enhancements, one channel each.
            channels: Of the network's blocks.
            measure: `ssim`, `cosine` or `jaccard`.
            window: Side of the window of SSIM, cells of the map.
            lr: Learning rate of Adam.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__()
        if measure not in get_args(Measure):
            raise UserError(f"method.measure={measure}: choose {', '.join(get_args(Measure))}")
        filters, channels = list(filters), list(channels)
        if not filters or not channels:
            raise UserError("method.filters and method.channels: give at least one of each")
        self.save_hyperparameters()
        self.network = SmallCNN(len(filters), channels)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the cross-entropy of a batch of labelled images."""
        logits = self.network(self._enhanced(batch["image"]))
        loss = F.binary_cross_entropy_with_logits(logits, batch["label"].to(logits.dtype))
        size = len(logits)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam at one rate."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])

    def predict_rows(self, data: BenchmarkDataModule, rows: Rows) -> Rows:
        """Name the rows themselves and the synthetic images."""
        if not len(data.generated_rows):
            raise UserError("data.root: there are no synthetic images to compare with")
        return np.union1d(rows, data.generated_rows)

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Give the last feature maps, averaged over channels: flat, with height and width last."""
        maps = self.network.maps(self._enhanced(batch["image"])).mean(dim=1).float()
        shape = maps.new_tensor(maps.shape[1:]).expand(len(maps), -1)
        return torch.cat([maps.flatten(1), shape], dim=1)

    def scores(
        self, outputs: Tensor, output_rows: Rows, data: BenchmarkDataModule, rows: Rows
    ) -> NDArray[np.float64]:
        """Take the largest similarity to a synthetic image; see the class and `BenchmarkModule`."""
        if not len(rows):
            return np.empty(0)
        height, width = (int(side) for side in outputs[0, -2:])
        real, made = (
            outputs_of(outputs, output_rows, wanted)[:, :-2].view(-1, height, width)
            for wanted in (rows, data.generated_rows)
        )
        return np.asarray(self._similarity(real, made).max(axis=1), dtype=np.float64)

    def _similarity(self, real: Tensor, made: Tensor) -> NDArray[np.float32]:
        if self.hparams["measure"] == "ssim":
            return ssim_matrix(stretched(real), stretched(made), self.hparams["window"])
        if self.hparams["measure"] == "cosine":
            return cosine_matrix(real.numpy(), made.numpy())
        left, right = (maps > maps.mean(dim=(1, 2), keepdim=True) for maps in (real, made))
        return jaccard_matrix(left.numpy(), right.numpy())

    def _enhanced(self, images: Tensor) -> Tensor:
        """Enhance a batch; filters work on bytes, on the CPU."""
        grey = images if images.dtype == torch.uint8 else (images * 255).round().to(torch.uint8)
        channels = enhanced(grey.cpu().numpy(), self.hparams["filters"])
        return channels.to(images.device, next(self.network.parameters()).dtype)
