"""The Siamese network as a benchmark method, for both tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
import torch

from gansfp.data.augment import unit_range
from gansfp.errors import UserError
from gansfp.losses.contrastive import ContrastiveLoss
from gansfp.methods.base import BenchmarkModule, check_classes
from gansfp.methods.siamese.inference import Inference, distance_to_set, probabilities
from gansfp.methods.siamese.network import CHANNELS, SiameseNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule

KERAS_ADAM_EPSILON = 1e-7


class SiameseModule(BenchmarkModule):
    """Siamese CNN trained on (real, generated) pairs (AI Multimedia Lab, 2025).

    Attribution (run 1396): a synthetic image belongs to the subset whose real training images lie
    nearest in embedding space. Membership (runs 1696 and 1492): the score of a real image is minus
    its distance to the synthetic images.

    Training batches hold "real_image" and "generated_image" (uint8, (B, H, W)) and "same" (1 or 0,
    (B,)), as `gansfp.data.pairs.ClassPairs` makes them.

    Attributes:
        network: The shared branch.
        loss: Contrastive loss.
    """

    uses_synthetic = "mean"

    def __init__(
        self,
        task: str | None = None,
        image_size: int | None = None,
        classes: Sequence[str] | None = None,
        channels: Sequence[int] = CHANNELS,
        embedding: int = 256,
        margin: float = 1.0,
        lr: float = 1e-4,
        inference: Inference = "centroid",
        legacy_scaling: bool = False,
        compile: bool = False,
    ) -> None:
        """Build the network; every argument is a hyperparameter.

        Args:
            task: `membership` or `attribution`; from the benchmark where None.
            image_size: Side of the square images, pixels; from the benchmark where None.
            classes: Names of the subsets, in the order of the probabilities; attribution only.
            channels: Filters of the convolutions.
            embedding: Size of the embedding.
            margin: Margin of the contrastive loss.
            lr: Learning rate of Adam.
            inference: `centroid`: distance to the mean embedding of a set. `average`: mean distance
                to its images.
            legacy_scaling: Train on 0..255 and predict on 0..1, as the published code does.
            compile: Compile the network with `torch.compile`.

        Raises:
            UserError: A value is missing or impossible.
        """
        super().__init__()
        if inference not in get_args(Inference):
            raise UserError(f"method.inference={inference}: choose centroid or average")
        if not isinstance(image_size, int):
            raise UserError(
                f"method.image_size={image_size}: the Siamese network needs square images of one "
                "size: set data.resize"
            )
        channels, classes = list(channels), None if classes is None else list(classes)
        self.save_hyperparameters()
        self.network = SiameseNetwork(image_size, channels, embedding)
        self.network.to(memory_format=torch.channels_last)
        self.loss = ContrastiveLoss(margin)
        if compile:
            self.network.compile()

    def forward(self, images: Tensor, scale: float = 255.0) -> Tensor:
        """Embed images: (B, H, W), as bytes divided by `scale`, to unit vectors (B, embedding)."""
        x = unit_range(images).unsqueeze(1).to(self.dtype) * (255.0 / scale)
        return self.network(x.contiguous(memory_format=torch.channels_last))  # type: ignore[no-any-return]

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the contrastive loss of a batch of pairs."""
        scale = 1.0 if self.hparams["legacy_scaling"] else 255.0
        both = torch.cat([batch["real_image"], batch["generated_image"]])
        real, generated = self(both, scale).chunk(2)
        loss: Tensor = self.loss(real, generated, batch["same"])
        size = len(batch["same"])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam with the epsilon of Keras, where the published recipe was run."""
        lr = self.hparams["lr"]
        return torch.optim.Adam(self.network.parameters(), lr=lr, eps=KERAS_ADAM_EPSILON)

    def predict_rows(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Name the rows themselves and the images that they are compared with."""
        sets = self._reference_sets(data)
        return np.unique(np.concatenate([rows, *sets.values()]))

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Embed a batch: shape (B, embedding)."""
        embeddings: Tensor = self(batch["image"])
        return embeddings

    def scores(
        self,
        outputs: Tensor,
        output_rows: NDArray[np.int64],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Compare each image with the reference sets; see the class and `BenchmarkModule`."""
        embeddings = outputs.detach().cpu().double().numpy()
        queries = embeddings[np.searchsorted(output_rows, rows)]
        distances = np.stack(
            [
                distance_to_set(
                    queries,
                    embeddings[np.searchsorted(output_rows, members)],
                    self.hparams["inference"],
                )
                for members in self._reference_sets(data).values()
            ],
            axis=1,
        )
        if data.benchmark.task == "membership":
            return -distances[:, 0]
        return probabilities(distances)

    def _reference_sets(self, data: BenchmarkDataModule) -> dict[str, NDArray[np.int64]]:
        """Membership: the synthetic images. Attribution: the real images of each class.

        Real images of a held-out fold stay out.
        """
        benchmark = data.benchmark
        if benchmark.task == "membership":
            return {"generated": _not_empty(data.generated_rows, "synthetic images")}
        check_classes(self.hparams["classes"], benchmark.classes)
        real = np.intersect1d(data.fit_rows, benchmark.rows(split="train", role="real"))
        labels = np.asarray(benchmark.labels(real))
        return {
            name: _not_empty(real[labels == name], f"real training images of class {name}")
            for name in benchmark.classes
        }


def _not_empty(rows: NDArray[np.int64], what: str) -> NDArray[np.int64]:
    if len(rows) == 0:
        raise UserError(f"data.root: there are no {what} to compare with")
    return rows
