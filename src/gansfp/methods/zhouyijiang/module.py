"""CANet with candidate retrieval and the joint decision, as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.errors import UserError
from gansfp.features.trainable import TrainableBackbone
from gansfp.losses.supcon import SupCon
from gansfp.methods.experts.network import trainable
from gansfp.methods.optimisation import make_schedule, optimisation, steps_of_fit
from gansfp.methods.pairing import compare_pairs, on_scoring_device, outputs_of
from gansfp.methods.pretrained import PretrainedModule
from gansfp.methods.zhouyijiang.network import CANet, LayerTokens
from gansfp.methods.zhouyijiang.retrieval import candidate_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule


class CANetModule(PretrainedModule):
    """Retrieve candidates, compare them by CANet, decide by both (zhouyijiang1, runs 1801-1804).

    Training compares pairs of a real and a synthetic image: "real_image", "generated_image" and
    "same" (1 where the real image was used), as `gansfp.data.pairs.ClassPairs` makes them.
    loss = cross-entropy of the confidence + supcon * supervised contrastive loss of the fused
    vectors, of which those of synthetic images count as used. Training logs both and their sum.

    Prediction: each synthetic image names its nearest real ones; of these, the farther of two
    spectral clusters is dropped. The score of a real image is the highest confidence over the
    synthetic images that named it and whose attention-weighted similarity to it lies above the
    median of the labelled images; 0 where there is none. It depends on which other images could be
    named.

    Attributes:
        tokens: The transformer, one token a layer.
        network: CANet.
        contrast: Supervised contrastive loss.
    """

    uses_synthetic = "nearest"
    transductive = True

    def __init__(
        self,
        backbone: str = "vit_base_patch16_224",
        weights: str = "imagenet",
        layers: Sequence[int] = (3, 6, 9),
        heads: int = 8,
        temperature_range: Sequence[float] = (0.05, 0.2),
        supcon: float = 0.5,
        supcon_temperature: float = 0.1,
        candidates: int = 50,
        neighbours: int = 10,
        prune: bool = True,
        lr: float = 1e-4,
        backbone_lr: float = 1e-5,
        weight_decay: float = 0.05,
        warmup: float = 0.05,
    ) -> None:
        """Build the network; every argument is a hyperparameter.

        Args:
            backbone: A timm vision transformer.
            weights: Where its weights come from (`gansfp.features.backbones`).
            layers: Numbers of the blocks whose tokens are fused, from 1.
            heads: Heads of the attention.
            temperature_range: Bounds of the pairs' temperatures.
            supcon: Weight of the supervised contrastive loss.
            supcon_temperature: Its temperature.
            candidates: Nearest real images of each synthetic one.
            neighbours: Of the spectral clustering's graph.
            prune: Drop the farther cluster of candidates.
            lr: Learning rate of AdamW for what starts random.
            backbone_lr: Learning rate for the transformer.
            weight_decay: Of AdamW.
            warmup: Share of the steps in which the rates rise, before a cosine to 0.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__()
        if candidates < 1:
            raise UserError(f"method.candidates={candidates}: must be at least 1")
        layers, temperature_range = list(layers), list(temperature_range)
        self.save_hyperparameters()
        self.tokens = LayerTokens(TrainableBackbone(backbone, weights), layers)
        if self.tokens.width % heads:
            raise UserError(f"method.heads={heads}: must divide {self.tokens.width}")
        self.network = CANet(self.tokens.depths, self.tokens.width, heads, temperature_range)
        self.contrast = SupCon(supcon_temperature)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute cross-entropy and contrastive loss of a batch of pairs."""
        both = self.tokens(torch.cat([batch["real_image"], batch["generated_image"]]))
        found = self.network(*both.chunk(2))
        used = batch["same"]
        entropy = F.binary_cross_entropy_with_logits(found.logits, used.to(found.logits.dtype))
        contrast = self.contrast(
            torch.cat([found.real, found.synthetic]), torch.cat([used, torch.ones_like(used)])
        )
        loss: Tensor = entropy + self.hparams["supcon"] * contrast
        logged = {"entropy": entropy, "supcon": contrast, "loss": loss}
        self.log_dict(
            {f"train/{name}": value for name, value in logged.items()},
            on_step=False,
            on_epoch=True,
            batch_size=len(used),
        )
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW, the transformer at a rate of its own, warm-up and cosine."""
        groups = [
            {"params": trainable(self.tokens.parameters()), "lr": self.hparams["backbone_lr"]},
            {"params": trainable(self.network.parameters()), "lr": self.hparams["lr"]},
        ]
        optimiser = torch.optim.AdamW(groups, weight_decay=self.hparams["weight_decay"])
        steps = steps_of_fit(self.trainer, self.trainer.datamodule)  # type: ignore[attr-defined]
        return optimisation(
            optimiser, make_schedule("cosine", optimiser, steps, self.hparams["warmup"])
        )

    def predict_rows(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Name the rows, the synthetic images, and the labelled images of the median."""
        if not len(data.generated_rows):
            raise UserError("data.root: there are no synthetic images to compare with")
        return np.unique(np.concatenate([rows, data.generated_rows, _labelled(data)]))

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Embed a batch as flat layer tokens, shape (B, layers * width)."""
        tokens: Tensor = self.tokens(batch["image"])
        return tokens.flatten(1)

    def scores(
        self,
        outputs: Tensor,
        output_rows: NDArray[np.int64],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Retrieve, compare and decide; see the class and `BenchmarkModule`."""
        tokens = outputs.view(len(outputs), len(self.tokens.layers), -1)
        labelled, synthetic, real = (
            outputs_of(tokens, output_rows, wanted)
            for wanted in (_labelled(data), data.generated_rows, rows)
        )
        _, _, labelled_similarity = self._compared(labelled, synthetic)
        pairs, confidence, similarity = self._compared(real, synthetic)
        return joint_scores(
            pairs[:, 0], confidence, similarity, float(np.median(labelled_similarity)), len(rows)
        )

    def _compared(
        self, real: Tensor, synthetic: Tensor
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Retrieve pairs of real and synthetic images: pairs, confidences and similarities."""
        if not len(real):
            return np.empty((0, 2), dtype=np.int64), np.empty(0), np.empty(0)
        with on_scoring_device(self, self.network) as device:
            pairs = candidate_pairs(
                self._library(synthetic, device),
                self._library(real, device),
                self.hparams["candidates"],
                self.hparams["neighbours"],
                self.hparams["prune"],
            )
            logits, similarity = compare_pairs(
                lambda left, right: self.network(left, right)[:2],
                real,
                synthetic,
                torch.from_numpy(pairs),
                device,
            )
        return pairs, torch.sigmoid(logits).numpy(), similarity.numpy()

    def _library(self, tokens: Tensor, device: torch.device) -> NDArray[np.float64]:
        """Fuse layer tokens by the gate: the fingerprints that are searched, of unit length."""
        fused = self.network.gate(tokens.float().to(device))[0]
        return F.normalize(fused.double(), dim=1).cpu().numpy()


def joint_scores(
    real: NDArray[np.int64],
    confidence: NDArray[np.float64],
    similarity: NDArray[np.float64],
    least: float,
    count: int,
) -> NDArray[np.float64]:
    """Give each real image the highest confidence among its pairs that are similar enough.

    Args:
        real: Which real image each pair has, shape (pairs,).
        confidence: Of each pair, shape (pairs,).
        similarity: Of each pair, shape (pairs,).
        least: Pairs of this similarity or less do not count.
        count: Number of real images.

    Returns:
        Scores in [0, 1], 0 where no pair counts, shape (count,).
    """
    scores = np.zeros(count)
    kept = similarity > least
    np.maximum.at(scores, real[kept], confidence[kept])
    return scores


def _labelled(data: BenchmarkDataModule) -> NDArray[np.int64]:
    """Name the labelled images that are not held out."""
    return np.setdiff1d(data.benchmark.candidates("train"), data.holdout_rows)
