"""Autoencoders of synthetic images as benchmark methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.errors import UserError
from gansfp.features.handcrafted.descriptor import descriptors
from gansfp.methods.autoencoder.network import build_autoencoder
from gansfp.methods.clusters.algorithms import cluster
from gansfp.methods.clusters.estimator import cluster_votes
from gansfp.methods.forest.stage import Described, TwoForests
from gansfp.methods.pretrained import PretrainedModule

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.benchmark import Benchmark
    from gansfp.data.datamodule import BenchmarkDataModule

    Rows = NDArray[np.int64]
    Array = NDArray[np.float64]

Architecture = Literal["vit", "conv", "resnet"]
Verdict = Literal["clusters", "forests"]
Loss = Literal["mse", "mae"]

_BLOCK = 512


class AutoencoderModule(PretrainedModule):
    """An autoencoder learns synthetic images; its latents of real ones decide (Neural Nexus).

    `clusters` (runs 1878 and 1880): spectral clusters of the latents of all real images; a cluster
    votes for "used" where more of its labelled images are used than not. The score is the vote, and
    looks at the other test images. `forests` (run 1881): latents beside handcrafted descriptors, a
    first forest's twenty most important values, their Mahalanobis distance, the error of the
    restored image and the smallest cosine distance of latents to synthetic ones, a second forest;
    the score is its share of votes (`gansfp.methods.forest.stage`).

    Training batches hold "image", synthetic images (`gansfp.data.generated.GeneratedImages`).

    Attributes:
        network: The autoencoder.
        uses_synthetic: `nearest` with forests; `none` with clusters, whose latents alone the
            synthetic images shape.
    """

    def __init__(
        self,
        architecture: Architecture = "resnet",
        backbone: str = "vit_base_patch16_224",
        weights: str = "none",
        size: int = 128,
        latent: int = 512,
        loss: Loss = "mae",
        lr: float = 1e-4,
        verdict: Verdict = "clusters",
        clusters: int = 2,
        neighbours: int = 10,
        trees: int = 200,
        top: int = 20,
        second_trees: int = 100,
        seed: int = 42,
    ) -> None:
        """Build the network; every argument is a hyperparameter.

        Args:
            architecture: `vit`, `conv` or `resnet`.
            backbone: A timm vision transformer; `vit` only.
            weights: Where its weights come from; `vit` only.
            size: Side of the restored images, pixels.
            latent: Size of the latent vector.
            loss: `mse` or `mae`.
            lr: Learning rate of Adam.
            verdict: `clusters` or `forests`.
            clusters: Number of clusters.
            neighbours: Of the clustering's graph.
            trees: Of the first forest.
            top: Values that it hands on.
            second_trees: Of the second forest.
            seed: Of clusters and forests.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__()
        _check("loss", loss, get_args(Loss))
        _check("verdict", verdict, get_args(Verdict))
        self.save_hyperparameters()
        self.network = build_autoencoder(architecture, backbone, weights, size, latent)
        self.network.to(memory_format=torch.channels_last)
        self.uses_synthetic = "nearest" if verdict == "forests" else "none"
        self.transductive = verdict == "clusters"
        self._described: tuple[Benchmark, dict[int, Array]] | None = None

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the error of restored synthetic images."""
        images = batch["image"]
        restored = self.network(images)[1].float()
        measure = F.mse_loss if self.hparams["loss"] == "mse" else F.l1_loss
        loss: Tensor = measure(restored, self.network.target(images).float())
        size = len(images)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam at one rate."""
        return torch.optim.Adam(self.network.parameters(), lr=self.hparams["lr"])

    def predict_rows(self, data: BenchmarkDataModule, rows: Rows) -> Rows:
        """Name the rows, and what the verdict compares them with."""
        if data.benchmark.task != "membership":
            raise UserError("method: autoencoders are for task=membership")
        if self.hparams["verdict"] == "clusters":
            return np.union1d(rows, _pool(data))
        return np.unique(np.concatenate([rows, data.fit_rows, data.generated_rows]))

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Embed a batch: latents, and last the mean squared error of the restored image."""
        latents, restored = self.network(batch["image"])
        target = self.network.target(batch["image"]).float()
        errors = (restored.float() - target).square().mean(dim=(1, 2, 3))
        return torch.cat([latents.float(), errors.unsqueeze(1)], dim=1)

    def scores(
        self, outputs: Tensor, output_rows: Rows, data: BenchmarkDataModule, rows: Rows
    ) -> Array:
        """Cluster, or grow the forests; see the class and `BenchmarkModule`."""
        if not len(rows):
            return np.empty(0)
        known = outputs.detach().cpu().double().numpy()
        verdict = self._clusters if self.hparams["verdict"] == "clusters" else self._forests
        return verdict(known, output_rows, data, rows)

    def _clusters(
        self, known: Array, output_rows: Rows, data: BenchmarkDataModule, rows: Rows
    ) -> Array:
        chosen: Any = self.hparams
        pool = _pool(data)
        latents = known[np.searchsorted(output_rows, pool), :-1]
        labels = cluster(
            latents, "spectral", chosen["clusters"], chosen["neighbours"], chosen["seed"]
        )
        labelled = np.flatnonzero(np.isin(pool, data.fit_rows))
        used = data.benchmark.targets(pool[labelled]) == 1
        return cluster_votes(labels, labelled, used)[np.searchsorted(pool, rows)]

    def _forests(
        self, known: Array, output_rows: Rows, data: BenchmarkDataModule, rows: Rows
    ) -> Array:
        chosen: Any = self.hparams
        forests = TwoForests(chosen["trees"], chosen["top"], chosen["second_trees"], chosen["seed"])
        handcrafted = self._handcrafted(data.benchmark, output_rows)
        described = []
        for wanted in (data.fit_rows, data.generated_rows, rows):
            places = np.searchsorted(output_rows, wanted)
            described.append(Described(known[places, :-1], known[places, -1], handcrafted[places]))
        forests.fit(described[0], data.benchmark.targets(data.fit_rows), described[1])
        return forests.score(described[2])

    def _handcrafted(self, benchmark: Benchmark, rows: Rows) -> Array:
        """Describe images block by block, each image of a benchmark once."""
        if self._described is None or self._described[0] is not benchmark:
            self._described = (benchmark, {})
        made = self._described[1]
        missing = np.array([row for row in rows.tolist() if row not in made], dtype=np.int64)
        for start in range(0, len(missing), _BLOCK):
            block = missing[start : start + _BLOCK]
            made.update(zip(block.tolist(), descriptors(benchmark.images(block)), strict=True))
        return np.stack([made[row] for row in rows.tolist()])


def _pool(data: BenchmarkDataModule) -> Rows:
    """Name all real images, ascending."""
    return np.union1d(data.benchmark.candidates("train"), data.benchmark.candidates("test"))


def _check(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"method.{key}={value}: choose {', '.join(choices)}")
