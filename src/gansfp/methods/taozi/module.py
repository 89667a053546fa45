"""taozi's contrastive methods: InfoNCE, MoCo v2 with own temperatures, mixture of experts."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.errors import UserError
from gansfp.losses.gather import gather_batch
from gansfp.losses.infonce import InfoNCE
from gansfp.methods.experts.network import MixtureOfExperts, gate_entropy
from gansfp.methods.pairing import outputs_of
from gansfp.methods.pretrained import PretrainedModule
from gansfp.methods.taozi.inference import Aggregate, membership_scores
from gansfp.methods.taozi.network import ContrastiveNetwork, Embedded, Norm
from gansfp.methods.taozi.queue import KeyQueue, follow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from gansfp.data.datamodule import BenchmarkDataModule

BUGS = (
    "labels_unused",
    "mean_temperature",
    "momentum_shortcut",
    "no_wraparound",
    "random_adapters",
    "unnormalised_online",
)


class TaoziModule(PretrainedModule):
    """Contrastive learning of synthetic images against candidate pools (taozi, 2025).

    An anchor, a synthetic image, is pulled towards used images from its pool and pushed away from
    images not used. With a queue (MoCo v2, Chen et al., 2020) another view of the anchor is a
    positive too, earlier anchors are negatives, and the positives are embedded twice:
    loss = alpha * InfoNCE(positives of the trained network) + (1 - alpha) * InfoNCE(positives of
    the momentum network), each anchor at a temperature of its own.

    Training batches are those of `gansfp.methods.taozi.sampling.CandidatePools`. Training logs
    `train/loss`, and `train/gate_entropy` with several experts.

    Attributes:
        network: Trained by gradient.
        slow: Follows `network`, embeds keys and makes the scores; None without a queue.
        queue: Earlier keys; None without a queue.
        loss: InfoNCE.
    """

    uses_synthetic = "nearest"

    def __init__(
        self,
        experts: Sequence[str] = ("resnet50",),
        weights: str = "imagenet",
        size: int | None = None,
        width: int = 2048,
        gate_hidden: int = 512,
        heads: int = 8,
        projector: Sequence[int] = (1024, 512, 256),
        norm: Norm = "batch",
        temperature: float | None = None,
        temperature_range: Sequence[float] = (0.05, 0.2),
        temperature_hidden: Sequence[int] = (),
        queue: int = 65536,
        momentum: float = 0.999,
        alpha: float = 0.7,
        entropy: float = 0.0,
        lr: float = 3e-4,
        backbone_lr: float = 3e-4,
        weight_decay: float = 1e-4,
        cosine_epochs: int | None = None,
        aggregate: Aggregate = "max",
        faithful_bugs: Sequence[str] = (),
    ) -> None:
        """Build the network; every argument is a hyperparameter.

        Args:
            experts: timm models; one, or several to be fused.
            weights: Where their weights come from (`gansfp.features.backbones`).
            size: Side of their inputs, pixels; None: those of their weights.
            width: Common size of the experts' vectors.
            gate_hidden: Hidden layer of the gate.
            heads: Heads of the attention among experts.
            projector: Outputs of the projection head's layers.
            norm: `batch` or `layer`; see `ContrastiveNetwork`.
            temperature: The same for all anchors; None: each has its own.
            temperature_range: Bounds of the anchors' own temperatures.
            temperature_hidden: Hidden layers of the head that gives them.
            queue: Keys in the queue; 0: neither queue nor momentum network, as in the early runs.
            momentum: Of the momentum network.
            alpha: Share of the loss with the trained network's positives.
            entropy: Weight of the gate's entropy in the loss.
            lr: Learning rate of AdamW for what starts random.
            backbone_lr: Learning rate for the backbones.
            weight_decay: Of AdamW.
            cosine_epochs: Period of a cosine schedule, epochs; None: constant rates.
            aggregate: How cosines become a score; see `membership_scores`.
            faithful_bugs: Defects of the published code to repeat; see the method's README.

        Raises:
            UserError: A value is impossible.
        """
        super().__init__()
        _check("aggregate", [aggregate], get_args(Aggregate))
        _check("norm", [norm], get_args(Norm))
        _check("faithful_bugs", list(faithful_bugs), BUGS)
        experts, projector = list(experts), list(projector)
        temperature_range, temperature_hidden = list(temperature_range), list(temperature_hidden)
        faithful_bugs = list(faithful_bugs)
        self.save_hyperparameters()
        self.transductive = aggregate == "chosen"
        encoder = MixtureOfExperts(experts, weights, size, width, gate_hidden, heads)
        self.network = ContrastiveNetwork(
            encoder, projector, norm, temperature, temperature_range, temperature_hidden
        )
        self.slow = copy.deepcopy(self.network).requires_grad_(False) if queue else None
        self.queue = KeyQueue(queue, projector[-1]) if queue else None
        self.loss = InfoNCE()
        self._bugs = frozenset(faithful_bugs)

    def pretrained_part(self) -> nn.Module:
        """Leave the momentum network out: it is a copy."""
        return self.network

    def after_pretrained(self) -> None:
        """Let the momentum network start as a copy."""
        if self.slow is not None:
            self.slow.load_state_dict(self.network.state_dict())

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        """End the fit where the published queue has no room left (`no_wraparound`)."""
        if self.queue is None or "no_wraparound" not in self._bugs:
            return None
        keys = len(batch["anchor_row"]) * self.trainer.world_size
        if (self.global_step + 1) * keys <= len(self.queue.keys):
            return None
        self.trainer.should_stop = True
        return -1

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the contrastive loss of a batch of anchors."""
        loss, gates = self._plain(batch) if self.slow is None else self._hybrid(batch)
        size = len(batch["anchor_row"])
        if gates.shape[1] > 1:
            spread = gate_entropy(gates)
            self.log("train/gate_entropy", spread, on_step=False, on_epoch=True, batch_size=size)
            loss = loss + self.hparams["entropy"] * spread
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        return loss

    def _plain(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Embed all images of a batch by one network; the negatives are each anchor's own."""
        sets = [batch[f"{name}_image"] for name in ("anchor", "positive", "negative")]
        (anchors, positives, negatives), found = _embed(self.network, sets)
        temperatures = found.temperatures[: len(anchors)]
        loss: Tensor = self.loss(anchors, positives, temperatures, negatives)
        return loss, found.gates

    def _hybrid(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Move the momentum network, embed, compare, and only then renew the queue: as in MoCo."""
        assert self.slow is not None
        assert self.queue is not None
        follow(self.slow, self.network, self.hparams["momentum"])
        names = ["key", "positive", "negative"]
        if "labels_unused" in self._bugs:
            names = ["key"]
        images = [batch[f"{name}_image"] for name in names]
        with torch.no_grad():
            attend = "momentum_shortcut" not in self._bugs
            (keys, *others), _ = _embed(self.slow, images, attend=attend)
        unit = "unnormalised_online" not in self._bugs
        seen = [batch["anchor_image"], *images[:2]]
        (anchors, *online), found = _embed(self.network, seen, unit=unit)
        heat = found.temperatures[: len(anchors)]
        if "mean_temperature" in self._bugs:
            heat = heat.mean()
        trained = torch.cat([online[0].unsqueeze(1), *online[1:]], dim=1)
        slow = torch.cat([keys.unsqueeze(1), *others[:1]], dim=1)
        negatives = others[1] if len(others) > 1 else None
        earlier = self.queue.keys.clone()  # renewed below, before the gradient is taken
        alpha = self.hparams["alpha"]
        loss = alpha * self.loss(anchors, trained, heat, negatives, earlier) + (
            1 - alpha
        ) * self.loss(anchors, slow, heat, negatives, earlier)
        self.queue.push(gather_batch(keys))
        return loss, found.gates

    def configure_optimizers(self) -> Any:
        """AdamW, the backbones at a rate of their own."""
        added = self.network.added()
        if "random_adapters" in self._bugs and self.network.encoder.fusion is not None:
            left_out = {id(p) for p in self.network.encoder.fusion.adapters.parameters()}
            added = [parameter for parameter in added if id(parameter) not in left_out]
        groups = [
            {"params": self.network.encoder.fine_tuned(), "lr": self.hparams["backbone_lr"]},
            {"params": added, "lr": self.hparams["lr"]},
        ]
        optimiser = torch.optim.AdamW(
            groups, lr=self.hparams["lr"], weight_decay=self.hparams["weight_decay"]
        )
        if self.hparams["cosine_epochs"] is None:
            return optimiser
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, self.hparams["cosine_epochs"]
        )
        return {"optimizer": optimiser, "lr_scheduler": schedule}

    def predict_rows(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Name the rows themselves and the synthetic images."""
        if not len(data.generated_rows):
            raise UserError("data.root: there are no synthetic images to compare with")
        return np.union1d(rows, data.generated_rows)

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Embed a batch with the momentum network, where there is one: shape (B, D)."""
        network = self.network if self.slow is None else self.slow
        attend = self.slow is None or "momentum_shortcut" not in self._bugs
        vectors: Tensor = network(batch["image"], attend=attend).vectors
        return vectors

    def scores(
        self,
        outputs: Tensor,
        output_rows: NDArray[np.int64],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Compare each image with the synthetic images; see `membership_scores`."""
        real, made = (
            F.normalize(outputs_of(outputs, output_rows, wanted).double(), dim=1).numpy()
            for wanted in (rows, data.generated_rows)
        )
        return membership_scores(real, made, self.hparams["aggregate"])


def _embed(
    network: ContrastiveNetwork, sets: Sequence[Tensor], unit: bool = True, attend: bool = True
) -> tuple[list[Tensor], Embedded]:
    """Embed sets of images in one pass, so that batch norms see them together.

    Args:
        network: The network.
        sets: Images, shapes (B, H, W) or (B, P, H, W).
        unit: See `ContrastiveNetwork`.
        attend: See `ContrastiveNetwork`.

    Returns:
        Embeddings of each set, shapes (B, D) or (B, P, D), and all that the network said.
    """
    flat = [images.flatten(0, images.ndim - 3) for images in sets]
    found: Embedded = network(torch.cat(flat), unit, attend)
    parts = torch.split(found.vectors, [len(images) for images in flat])
    shaped = [x.view(*s.shape[:-2], x.shape[1]) for x, s in zip(parts, sets, strict=True)]
    return shaped, found


def _check(key: str, values: list[str], choices: Sequence[str]) -> None:
    for value in values:
        if value not in choices:
            raise UserError(f"method.{key}={value}: choose {', '.join(choices)}")
