"""The network for fine detail as a benchmark method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.callbacks.keep_best import KeepBest
from gansfp.data.augment.pipeline import unit_range
from gansfp.data.draws import derive, normal, uniform
from gansfp.errors import UserError
from gansfp.forge.ema import EMA
from gansfp.methods.base import BenchmarkModule, check_classes
from gansfp.methods.classifier.inference import among
from gansfp.methods.detail.mixing import Mix, mixed
from gansfp.methods.detail.network import DetailNetwork, Norm
from gansfp.methods.optimisation import make_schedule, optimisation, steps_of_fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightning as L
    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.methods.optimisation import ScheduleName

_NOISE, _ROWS = 2000, 2001  # streams of random numbers


class DetailModule(BenchmarkModule):
    """A network for fine detail, trained on synthetic and real images of each subset together.

    Real images have the label of their subset and a flag of their own, so that the network may
    learn what both kinds share without confusing them. Prediction is by the moving average of the
    weights, and takes every image for a synthetic one.

    Training batches hold "row", "image", "label" and, for mixing and pretraining, "draw" (an
    `augment`), as `gansfp.data.pairs.Images` makes them.

    Attributes:
        network: The network that is trained.
        average: Its moving average; None without one.
        transductive: Whether pretraining sees test images.
    """

    def __init__(
        self,
        classes: Sequence[str] | None = None,
        widths: Sequence[int] = (48, 96, 192),
        blocks: int = 2,
        norm: Norm = "batch",
        dropout: float = 0.1,
        label_smoothing: float = 0.1,
        mix: Mix = "cutmix",
        real_weight: float = 1.0,
        ema: float = 0.998,
        lr: float = 2e-3,
        weight_decay: float = 0.05,
        schedule: ScheduleName = "cosine",
        warmup: float = 0.05,
        keep: Literal["best", "last"] = "last",
        mirrored: bool = False,
        pretrain_epochs: int = 0,
        pretrain_on: Literal["train", "all"] = "train",
        pretrain_noise: float = 0.1,
    ) -> None:
        """Build the network; every argument is a hyperparameter.

        Args:
            classes: Names of the subsets, in the order of the probabilities.
            widths: Channels of each stage; each further stage has half the resolution.
            blocks: Residual blocks a stage.
            norm: `batch` or `group`.
            dropout: Share of the features that are dropped in training.
            label_smoothing: Of the cross-entropy.
            mix: `none`, `mixup` or `cutmix` (`gansfp.methods.detail.mixing`).
            real_weight: What a real image counts in the loss; a synthetic one counts 1.
            ema: Decay of the moving average of the weights; 0: none.
            lr: Peak of the learning rate of AdamW.
            weight_decay: Its weight decay.
            schedule: `constant`, `cosine` or `one_cycle`.
            warmup: Share of the steps in which `cosine` rises.
            keep: End with the `best` epoch on the held-out fold, or the `last`.
            mirrored: Predict by the mean over an image and its mirror image.
            pretrain_epochs: The first so many epochs learn, without labels, to tell the noise that
                was added to images (as score networks do).
            pretrain_on: Images of the `train` folder, or `all`, test images too.
            pretrain_noise: Largest standard deviation of that noise, in units of the grey range.

        Raises:
            UserError: A value is missing or impossible.
        """
        super().__init__()
        classes, widths = None if classes is None else list(classes), list(widths)
        for key, value, choices in (
            ("norm", norm, ("batch", "group")),
            ("mix", mix, ("none", "mixup", "cutmix")),
            ("keep", keep, ("best", "last")),
            ("pretrain_on", pretrain_on, ("train", "all")),
        ):
            if value not in choices:
                raise UserError(f"method.{key}={value}: choose {', '.join(choices)}")
        self.save_hyperparameters()
        if classes is None or len(classes) < 2:
            raise UserError(f"method.classes={classes}: method=detail names two subsets or more")
        self.network = DetailNetwork(
            len(classes), widths, blocks, norm, dropout, pretrained=pretrain_epochs > 0
        )
        self.average = EMA(self.network, ema) if ema else None
        self.transductive = pretrain_epochs > 0 and pretrain_on == "all"
        self._real: Tensor | None = None
        self._unlabelled: Tensor | None = None

    def setup(self, stage: str) -> None:
        """Note which rows are real, and which there are to pretrain on."""
        if stage != "fit":
            return
        data: BenchmarkDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        real = torch.zeros(len(data.benchmark), dtype=torch.bool)
        real[data.benchmark.rows(role="real")] = True
        rows = np.concatenate([data.fit_rows, data.holdout_rows])
        if self.hparams["pretrain_on"] == "all":
            rows = np.concatenate([rows, data.benchmark.candidates("test")])
        device = self.trainer.strategy.root_device
        self._real = real.to(device)
        self._unlabelled = torch.from_numpy(np.unique(rows)).to(device)

    def own_callbacks(self) -> list[L.Callback]:
        """Keep the best epoch where the recipe says so."""
        keeps = self.hparams["keep"] == "best"
        return [KeepBest(self.monitor["attribution"], self.mode)] if keeps else []

    def forward(self, images: Tensor) -> Tensor:
        """Score synthetic images: uint8, or float in [0, 1], (B, H, W), to logits (B, classes)."""
        network = self.network if self.average is None else self.average.network
        logits: Tensor = network(images)
        if self.hparams["mirrored"]:
            logits = (logits + network(images.flip(2))) / 2
        return logits

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the loss of a batch: of pretraining, or the cross-entropy of its mixtures."""
        if self.current_epoch < self.hparams["pretrain_epochs"]:
            loss, name = self._pretraining_loss(self._draw(batch)), "train/pretrain_loss"
        else:
            loss, name = self._loss(batch), "train/loss"
        size = len(batch["row"])
        self.log(name, loss, on_step=False, on_epoch=True, batch_size=size)
        return loss

    def _loss(self, batch: dict[str, Tensor]) -> Tensor:
        chosen, labels = self.hparams, batch["label"]
        images, own = unit_range(batch["image"]), None
        assert self._real is not None
        real = self._real[batch["row"]]
        if chosen["mix"] != "none":
            images, own = mixed(images, self._draw(batch), chosen["mix"])
        logits = self.network(images, real).float()
        weight = torch.where(real, chosen["real_weight"], 1.0)
        smoothing = chosen["label_smoothing"]
        loss = F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)
        if own is not None:
            other = F.cross_entropy(
                logits, labels.flip(0), reduction="none", label_smoothing=smoothing
            )
            loss = own * loss + (1 - own) * other
        return (weight * loss).sum() / weight.sum()

    def _pretraining_loss(self, keys: Tensor) -> Tensor:
        """Squared error of the guessed noise, in units of its variance."""
        data: BenchmarkDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        assert self._real is not None
        assert self._unlabelled is not None
        unit = uniform(derive(keys, _ROWS), 2)
        rows = self._unlabelled[(unit[:, 0] * len(self._unlabelled)).long()]
        grey = unit_range(data.benchmark.store.gather(rows, rows.device))
        sigma = self.hparams["pretrain_noise"] * (0.05 + 0.95 * unit[:, 1, None, None])
        noise = normal(derive(keys, _NOISE), grey[0].numel()).view_as(grey)
        guessed = self.network.noise_of(grey + sigma * noise, self._real[rows])
        return F.mse_loss(guessed.float(), noise)

    @staticmethod
    def _draw(batch: dict[str, Tensor]) -> Tensor:
        if "draw" not in batch:
            raise UserError(
                "method.mix and method.pretrain_epochs take random numbers that come with an "
                "augmentation: augment@data.augment=lossless"
            )
        return batch["draw"]

    def on_train_batch_end(self, *args: Any, **kwargs: Any) -> None:
        """Move the average."""
        if self.average is not None:
            self.average.update(self.network, self.global_step)

    def configure_optimizers(self) -> Any:
        """AdamW; norms and biases do not decay."""
        chosen = self.hparams
        parameters = list(self.network.parameters())
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.ndim > 1]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=chosen["lr"], weight_decay=chosen["weight_decay"])
        steps = steps_of_fit(self.trainer, self.trainer.datamodule)  # type: ignore[attr-defined]
        schedule = make_schedule(chosen["schedule"], optimiser, steps, chosen["warmup"])
        return optimisation(optimiser, schedule)

    def predict_rows(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Name the rows themselves."""
        return np.unique(rows)

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute logits, (B, classes)."""
        logits: Tensor = self(batch["image"])
        return logits

    def scores(
        self,
        outputs: Tensor,
        output_rows: NDArray[np.int64],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Turn logits into probabilities; see `BenchmarkModule`."""
        check_classes(self.hparams["classes"], data.benchmark.classes)
        logits = outputs.double().numpy()[np.searchsorted(output_rows, rows)]
        return among(logits, len(data.benchmark.classes))
