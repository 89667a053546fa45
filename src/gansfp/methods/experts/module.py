"""Pretrained networks, one or several fused, fine-tuned as a classifier for both tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gansfp.data.benchmark import MEMBER_LABELS
from gansfp.errors import UserError
from gansfp.methods.base import check_classes
from gansfp.methods.classifier.inference import among
from gansfp.methods.experts.network import MixtureOfExperts, gate_entropy, trainable
from gansfp.methods.optimisation import make_schedule, optimisation, steps_of_fit
from gansfp.methods.pairing import outputs_of
from gansfp.methods.pretrained import PretrainedModule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.methods.optimisation import ScheduleName


class ExpertsModule(PretrainedModule):
    """A mixture of experts with a perceptron on top, trained with cross-entropy.

    Membership: used or not used; the score is the log-odds. Attribution: the subset of a synthetic
    image. One frozen expert with a head of its own is the transfer learning of run 1811.

    Training batches hold "image" and "label" (B,), as `gansfp.data.pairs.Images` makes them.

    Attributes:
        encoder: The experts.
        head: The perceptron.
    """

    def __init__(
        self,
        task: str | None = None,
        classes: Sequence[str] | None = None,
        experts: Sequence[str] = ("resnet50", "efficientnet_b0"),
        weights: str = "imagenet",
        size: int | None = None,
        width: int = 2048,
        gate_hidden: int = 512,
        heads: int = 8,
        frozen: bool = False,
        hidden: Sequence[int] = (),
        dropout: float = 0.0,
        entropy: float = 0.0,
        lr: float = 3e-4,
        backbone_lr: float = 3e-5,
        weight_decay: float = 1e-4,
        schedule: ScheduleName = "constant",
        warmup: float = 0.0,
    ) -> None:
        """Build the network; every argument is a hyperparameter.

        Args:
            task: `membership` or `attribution`; from the benchmark where None.
            classes: Names of the subsets, in the order of the probabilities; attribution only.
            experts: timm models; one, or several to be fused.
            weights: Where their weights come from (`gansfp.features.backbones`).
            size: Side of their inputs, pixels; None: those of their weights.
            width: Common size of the experts' vectors.
            gate_hidden: Hidden layer of the gate.
            heads: Heads of the attention among experts.
            frozen: Train the fusion and the head alone.
            hidden: Hidden layers of the head, with ReLU.
            dropout: Share of the last hidden values that are dropped in training.
            entropy: Weight of the gate's entropy in the loss.
            lr: Learning rate of Adam for what starts random.
            backbone_lr: Learning rate for the experts.
            weight_decay: Decoupled, as in AdamW.
            schedule: `constant`, `cosine` or `one_cycle`.
            warmup: Share of the steps in which `cosine` rises.

        Raises:
            UserError: A value is missing or impossible.
        """
        super().__init__()
        experts, hidden = list(experts), list(hidden)
        classes = None if classes is None else list(classes)
        self.save_hyperparameters()
        names = MEMBER_LABELS if task == "membership" else tuple(classes or ())
        if len(names) < 2:
            raise UserError(f"method.classes={classes}: a classifier needs at least two")
        self.encoder = MixtureOfExperts(experts, weights, size, width, gate_hidden, heads, frozen)
        layers: list[nn.Module] = []
        inside = self.encoder.dim
        for outside in hidden:
            layers += [nn.Linear(inside, outside), nn.ReLU()]
            inside = outside
        self.head = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(inside, len(names)))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Score images, uint8 or float in [0, 1], (B, H, W).

        Returns:
            Logits, (B, classes), and the weights of the experts, (B, experts).
        """
        fused, gates = self.encoder(images)
        return self.head(fused), gates

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of a batch of labelled images."""
        logits, gates = self(batch["image"])
        loss = F.cross_entropy(logits.float(), batch["label"])
        if self.hparams["entropy"]:
            loss = loss + self.hparams["entropy"] * gate_entropy(gates)
        size = len(batch["label"])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        return loss

    def configure_optimizers(self) -> Any:
        """AdamW, the experts at a rate of their own."""
        chosen = self.hparams
        added = [*self.encoder.added(), *trainable(self.head.parameters())]
        groups = [{"params": added, "lr": chosen["lr"]}]
        if tuned := self.encoder.fine_tuned():
            groups.append({"params": tuned, "lr": chosen["backbone_lr"]})
        optimiser = torch.optim.AdamW(groups, weight_decay=chosen["weight_decay"])
        steps = steps_of_fit(self.trainer, self.trainer.datamodule)  # type: ignore[attr-defined]
        return optimisation(
            optimiser, make_schedule(chosen["schedule"], optimiser, steps, chosen["warmup"])
        )

    def predict_rows(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Name the rows themselves."""
        return np.unique(rows)

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute logits, (B, classes)."""
        logits: Tensor = self(batch["image"])[0]
        return logits

    def scores(
        self,
        outputs: Tensor,
        output_rows: NDArray[np.int64],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Turn logits into scores; see the class and `BenchmarkModule`."""
        logits = outputs_of(outputs, output_rows, rows).double().numpy()
        if data.benchmark.task == "membership":
            return np.asarray(logits[:, 1] - logits[:, 0])
        check_classes(self.hparams["classes"], data.benchmark.classes)
        return among(logits, len(data.benchmark.classes))
