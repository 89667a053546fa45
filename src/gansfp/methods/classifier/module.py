"""A fine-tuned classifier as a benchmark method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from torch.nn import functional as F

from gansfp.callbacks.keep_best import KeepBest
from gansfp.data.benchmark import MEMBER_LABELS
from gansfp.errors import UserError
from gansfp.features.backbones import BackboneSpec
from gansfp.methods.base import check_classes
from gansfp.methods.classifier.inference import Inference, among, similarity
from gansfp.methods.classifier.network import ClassifierNetwork
from gansfp.methods.optimisation import make_optimiser, make_schedule, optimisation, steps_of_fit
from gansfp.methods.pretrained import PretrainedModule
from gansfp.methods.probe.svm import LinearSVM

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lightning as L
    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.methods.optimisation import OptimiserName, ScheduleName


class ClassifierModule(PretrainedModule):
    """A pretrained network, fine-tuned with cross-entropy (SDVAHCS/UCSD and Medhastra, 2025).

    Attribution: one class a subset, and perhaps "real" as one more, which is no answer at test.
    Membership: used or not used; the score is the log-odds.

    Training batches hold "image" (uint8 or float in [0, 1], (B, H, W)) and "label" (B,), as
    `gansfp.data.pairs.Images` makes them.

    Attributes:
        network: The backbone with its new head.
    """

    def __init__(
        self,
        task: str | None = None,
        classes: Sequence[str] | None = None,
        backbone: BackboneSpec | Mapping[str, Any] | None = None,
        real_class: bool = False,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        optimiser: OptimiserName = "adam",
        lr: float = 1e-4,
        weight_decay: float = 0.0,
        schedule: ScheduleName = "constant",
        warmup: float = 0.0,
        keep: Literal["best", "last"] = "best",
        inference: Inference = "head",
        reference: Literal["real", "generated"] = "real",
        svm_c: float = 1.0,
        compile: bool = False,
    ) -> None:
        """Build the network; every argument is a hyperparameter.

        Args:
            task: `membership` or `attribution`; from the benchmark where None.
            classes: Names of the subsets, in the order of the probabilities; attribution only.
            backbone: Which pretrained network; its device and bf16 are the Trainer's business.
            real_class: Learn real images as a further class (`data.sampling.real_class` too).
            dropout: Share of the features that are dropped in training.
            label_smoothing: Of the cross-entropy.
            optimiser: `adam`, `adamw` or `sgd`.
            lr: Its learning rate, or the peak of the schedule.
            weight_decay: Its weight decay.
            schedule: `constant`, `cosine` or `one_cycle`.
            warmup: Share of the steps in which `cosine` rises.
            keep: End with the weights of the `best` epoch, by the official metric on the held-out
                fold, or of the `last`.
            inference: `head`: the classifier. Attribution also by its features, compared with the
                labelled images that it was trained on: cosine similarity to the `centroid` of each
                subset or to its `nearest` image, or a linear `svm`.
            reference: Which labelled images those are.
            svm_c: Penalty of the SVM.
            compile: Compile the network with `torch.compile`.

        Raises:
            UserError: A value is missing or impossible.
        """
        super().__init__()
        _check_choice("inference", inference, get_args(Inference))
        _check_choice("keep", keep, ("best", "last"))
        _check_choice("reference", reference, ("real", "generated"))
        if task == "membership" and (real_class or inference != "head"):
            raise UserError("method.real_class and method.inference are for task=attribution")
        spec = backbone if isinstance(backbone, BackboneSpec) else BackboneSpec(**(backbone or {}))
        backbone, classes = asdict(spec), None if classes is None else list(classes)
        self.save_hyperparameters()
        self._classes = MEMBER_LABELS if task == "membership" else tuple(classes or ())
        if len(self._classes) < 2:
            raise UserError(f"method.classes={classes}: a classifier needs at least two")
        outputs = len(self._classes) + real_class
        self.network = ClassifierNetwork(spec, outputs, dropout)
        if compile:
            self.network.compile()

    def read_pretrained(self) -> None:
        """Give the backbone its pretrained weights; the head starts random."""
        self.network.load_pretrained()

    def own_callbacks(self) -> list[L.Callback]:
        """Keep the best epoch where the recipe says so."""
        if self.hparams["keep"] == "last":
            return []
        task = self.hparams["task"] or "attribution"
        return [KeepBest(self.monitor[task], self.mode)]

    def forward(self, images: Tensor) -> Tensor:
        """Score images: uint8, or float in [0, 1], (B, H, W), to logits (B, outputs)."""
        logits: Tensor = self.network(images)
        return logits

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute the cross-entropy of a batch of labelled images."""
        smoothing = self.hparams["label_smoothing"]
        loss = F.cross_entropy(self(batch["image"]), batch["label"], label_smoothing=smoothing)
        size = len(batch["label"])
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, batch_size=size)
        return loss

    def configure_optimizers(self) -> Any:
        """Build the optimiser and the schedule of the recipe."""
        chosen = self.hparams
        optimiser = make_optimiser(
            chosen["optimiser"], self.network.parameters(), chosen["lr"], chosen["weight_decay"]
        )
        data: BenchmarkDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        steps = steps_of_fit(self.trainer, data)
        schedule = make_schedule(chosen["schedule"], optimiser, steps, chosen["warmup"])
        return optimisation(optimiser, schedule)

    def predict_rows(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Name the rows themselves and the images whose features they are compared with."""
        if self._answers_by_head():
            return np.unique(rows)
        return np.unique(np.concatenate([rows, *self._references(data)]))

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Compute logits, (B, outputs), or the features that are compared, (B, dim)."""
        by_head = self._answers_by_head()
        outputs: Tensor = self(batch["image"]) if by_head else self.network.features(batch["image"])
        return outputs

    def scores(
        self,
        outputs: Tensor,
        output_rows: NDArray[np.int64],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Turn logits or features into scores; see the class and `BenchmarkModule`."""
        if data.benchmark.task == "attribution":
            check_classes(self.hparams["classes"], data.benchmark.classes)
        known = outputs.double().numpy()
        queries = known[np.searchsorted(output_rows, rows)]
        if data.benchmark.task == "membership":
            log_odds: NDArray[np.float64] = queries[:, 1] - queries[:, 0]
            return log_odds
        if self._answers_by_head():
            return among(queries, len(self._classes))
        sets = [known[np.searchsorted(output_rows, members)] for members in self._references(data)]
        return self._by_features(queries, sets)

    def _by_features(
        self, queries: NDArray[np.float64], sets: list[NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        kind = self.hparams["inference"]
        if kind != "svm":
            return among(similarity(queries, sets, kind), len(sets))
        targets = np.repeat(np.arange(len(sets)), [len(members) for members in sets])
        machine = LinearSVM.fit(np.concatenate(sets), targets, len(sets), self.hparams["svm_c"])
        return machine.votes(queries)

    def _answers_by_head(self) -> bool:
        """Whether outputs are logits: always in a fit, whose epochs are compared by the head."""
        trainer = self._trainer
        fitting = trainer is not None and trainer.state.fn == "fit" and trainer.state.stage
        return self.hparams["inference"] == "head" or bool(fitting)

    def _references(self, data: BenchmarkDataModule) -> list[NDArray[np.int64]]:
        """Name the images of each subset that features are compared with."""
        benchmark, role = data.benchmark, self.hparams["reference"]
        rows = np.intersect1d(data.fit_rows, benchmark.rows("train", role))
        labels = benchmark.labels(rows)
        sets = [rows[labels == name] for name in benchmark.classes]
        for name, members in zip(benchmark.classes, sets, strict=True):
            if not len(members):
                raise UserError(
                    f"method.reference={role}: class {name} has no such image to compare with"
                )
        return sets


def _check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"method.{key}={value}: choose {', '.join(choices)}")
