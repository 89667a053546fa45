"""An encoder trained on the data at hand, and a distance statistic on it, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.data.augment.pipeline import unit_range
from gansfp.errors import UserError
from gansfp.features.ssim.pairs import ssim_pairs
from gansfp.losses.supcon import SupCon
from gansfp.methods.base import BenchmarkModule
from gansfp.methods.candidates import Candidates, check_choice
from gansfp.methods.distance.estimator import Pool, lay_out
from gansfp.methods.distance.membership import STATISTICS, Statistic
from gansfp.methods.encoder.network import Bottleneck, Encoder, noised

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule

    Rows = NDArray[np.int64]

Objective = Literal["noised", "autoencoded", "ssim"]

_RECONSTRUCTION = 10.0
"""Weight of the autoencoder's squared error beside the contrastive loss, which is about 1."""


class EncoderModule(BenchmarkModule):
    """Learns, without a label, which images are the same but for what a generator loses of them.

    Positive pairs are an image and a copy of it that went through what generators do: noise of a
    diffusion, or a narrow autoencoder; every other image of the batch is a negative (SimCLR, Chen
    et al., ICML 2020). Or the cosine learns the structural similarity of pairs (DeepSSIM, 2025).
    Synthetic and real images are treated alike, half of each batch each, so that the encoder does
    not learn which is which. Then a statistic of `gansfp.methods.distance` compares embeddings.

    Training batches hold "row", "image", "real_row" and "real_image"
    (`gansfp.data.generated.BothKinds`).

    Attributes:
        encoder: The network.
        autoencoder: It makes the copies; None unless `objective=autoencoded`.
        transductive: Test images are among the pool; whether they are among those that are learnt
            from, the datamodule says.
    """

    uses_synthetic = "nearest"
    fits_labels = False

    def __init__(
        self,
        objective: Objective = "noised",
        statistic: Statistic = "pool_ratio",
        k: int = 1,
        k_pool: int = 5,
        pool: Pool = "all",
        width: int = 16,
        dim: int = 64,
        noise: float = 0.5,
        channels: int = 4,
        temperature: float = 0.1,
        lr: float = 1e-3,
        seed: int = 0,
    ) -> None:
        """Build the networks; every argument is a hyperparameter.

        Args:
            objective: Copies are `noised` or `autoencoded`; or `ssim`, the cosine learns it.
            statistic: Of the embeddings; see `gansfp.methods.distance.membership`.
            k: Its neighbours among synthetic images.
            k_pool: Which neighbour in the pool, or among those not used, gives the local scale.
            pool: Real images that the statistic reads: `all` or `labelled`. Those that the encoder
                learns from, `data.sampling.pool`, should be the same.
            width: Channels of the first stage.
            dim: Length of the embeddings.
            noise: `noised`: largest standard deviation of the noise, in a diffusion's units.
            channels: `autoencoded`: of the code.
            temperature: Of the contrastive loss.
            lr: Learning rate of Adam.
            seed: Of the noise.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__()
        check_choice("objective", objective, get_args(Objective))
        check_choice("statistic", statistic, get_args(Statistic))
        check_choice("pool", pool, get_args(Pool))
        if not 0 < noise <= 1:
            raise UserError(f"method.noise={noise}: must be above 0 and at most 1")
        self.save_hyperparameters()
        self.encoder = Encoder(width, dim)
        self.autoencoder = Bottleneck(width, channels) if objective == "autoencoded" else None
        self.loss = SupCon(temperature)
        self.transductive = pool == "all"

    def on_fit_start(self) -> None:
        """Refuse images that the autoencoder cannot restore.

        Raises:
            UserError: Names the key.
        """
        data: BenchmarkDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        size = data.benchmark.image_size
        if self.autoencoder is not None and any(side % 8 for side in size):
            raise UserError(f"data.resize: sides must be multiples of 8, the images are {size}")

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of a batch, half synthetic and half real."""
        images = unit_range(torch.cat([batch["image"], batch["real_image"]])).float()
        rows = torch.cat([batch["row"], batch["real_row"]])
        objective = self.hparams["objective"]
        if objective == "ssim":
            loss = self._likeness(images)
        else:
            copies, extra = self._copies(images, batch_idx)
            vectors = self.encoder(torch.cat([images, copies]))
            loss = self.loss(vectors, rows.repeat(2)) + extra
        size = len(rows)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        return loss

    def _copies(self, images: Tensor, batch_idx: int) -> tuple[Tensor, Tensor | float]:
        """Copy each image; with what the autoencoder still has to learn."""
        if self.autoencoder is not None:
            restored = self.autoencoder(images)
            return restored.detach(), _RECONSTRUCTION * F.mse_loss(restored, images)
        return noised(images, self.draw_keys(images, batch_idx), self.hparams["noise"]), 0.0

    def _likeness(self, images: Tensor) -> Tensor:
        """Squared error of the cosine as the similarity of each image to the next half batch."""
        vectors, half = self.encoder(images), len(images) // 2
        errors = []
        for turn in (1, half):  # the next of its kind, and the one of the other kind
            other = torch.roll(torch.arange(len(images), device=images.device), -turn)
            similar = ssim_pairs(255 * images, 255 * images[other]).to(vectors.dtype)
            errors.append(F.mse_loss((vectors * vectors[other]).sum(dim=1), similar))
        return torch.stack(errors).mean()

    def configure_optimizers(self) -> Any:
        """Adam at one rate."""
        return torch.optim.Adam(self.parameters(), lr=self.hparams["lr"])

    def predict_rows(self, data: BenchmarkDataModule, rows: Rows) -> Rows:
        """Name all candidates and the synthetic images."""
        if data.benchmark.task != "membership":
            raise UserError("method: encoder is for task=membership")
        found = Candidates.of(data)
        return np.union1d(found.rows, found.synthetic)

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Embed a batch, (B, dim)."""
        vectors: Tensor = self.encoder(unit_range(batch["image"]).float())
        return vectors

    def scores(
        self,
        outputs: Tensor,
        output_rows: Rows,
        data: BenchmarkDataModule,
        rows: Rows,
    ) -> NDArray[np.float64]:
        """Compare embeddings; see `BenchmarkModule`."""
        chosen, found = self.hparams, Candidates.of(data)
        vectors = outputs.numpy()
        real, synthetic = (
            vectors[np.searchsorted(output_rows, part)] for part in (found.rows, found.synthetic)
        )
        name, k = chosen["statistic"], chosen["k"]
        hood = lay_out(found, real, synthetic, name, k, chosen["pool"])
        values = STATISTICS[name].score(hood, k, chosen["k_pool"])
        return np.asarray(values[np.searchsorted(found.rows, rows)])
