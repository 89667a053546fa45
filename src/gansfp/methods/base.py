"""The seam between a method and the rest: fit on a benchmark, score its images, save, load."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import lightning as L

from gansfp.data.draws import batch_keys
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule
    from gansfp.evaluation.torchmetric import TableMetric

OFFICIAL_MONITOR = {"membership": "val/kappa", "attribution": "val/accuracy"}

UsesSynthetic = Literal["none", "mean", "nearest"]


class MethodTraits:
    """What the runner must know of a method before it trusts its scores.

    Attributes:
        uses_synthetic: How a membership method reads the synthetic images.
        higher_is_member: The sign that theory gives `raw_score`; labels may reverse it only with
            evidence (see `gansfp.orientation`).
        fits_labels: Labels enter the fit, so the labelled images that it was fitted on are scored
            in sample and only held-out ones may set a threshold.
        transductive: A test score depends on other unlabelled test images.
    """

    uses_synthetic: UsesSynthetic = "none"
    higher_is_member: bool = True
    fits_labels: bool = True
    transductive: bool = False


class Estimator(MethodTraits, ABC):
    """A method without gradient descent: a pipeline on features, scikit-learn style."""

    @abstractmethod
    def fit(self, data: BenchmarkDataModule) -> Self:
        """Learn from the labelled and the synthetic images of a benchmark."""

    @abstractmethod
    def predict(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Score images.

        Args:
            data: The benchmark, already set up.
            rows: Candidate images, shape (n,); never scored with a statistic fitted on themselves.

        Returns:
            Membership: raw scores, shape (n,). Attribution: probabilities, shape (n, classes).
        """

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write everything that `load` needs, as npz and JSON."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""


class BenchmarkModule(MethodTraits, L.LightningModule):
    """A method that Lightning trains.

    Training batches come from the datamodule's sampling strategy. Prediction is two steps: the
    Trainer runs `predict_step` over `predict_rows` on one device, then `scores` reads all outputs
    at once, so that a score may depend on sets of images (centroids, nearest synthetic images).

    Where the datamodule holds a fold out, each epoch ends with the same two steps on it, and logs
    `val/<metric>` for the metrics of the task (`gansfp.evaluation.torchmetric`): `val/kappa`,
    `val/auroc`, ... for membership, cut at the best kappa as the decision rule does (so the kappa
    is optimistic); `val/accuracy`, `val/f1`, ... for attribution. Training logs `train/loss`.

    Attributes:
        monitor: The metric to choose epochs by, of each task.
        mode: Whether more of it is better ("max").
    """

    monitor: ClassVar[Mapping[str, str]] = OFFICIAL_MONITOR
    mode: ClassVar[str] = "max"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._held_out: list[Tensor] = []
        self._metrics: dict[str, TableMetric] = {}

    def own_callbacks(self) -> list[L.Callback]:
        """Name the callbacks that decide the numbers of a fit.

        Those of the `callbacks` node do not, so that they are no part of a run's hash. These come
        first, before the one that saves the finished state.
        """
        return []

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Keep the outputs of a batch until the epoch ends."""
        self._held_out.append(self.predict_step(batch, batch_idx).detach().float().cpu())

    def on_validation_epoch_start(self) -> None:
        """Forget the outputs of the epoch before."""
        self._held_out = []

    def on_validation_epoch_end(self) -> None:
        """Score the held-out fold and log its metrics; every rank has all of it."""
        import torch

        if not self._held_out:
            return
        data: BenchmarkDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        rows = data.holdout_rows
        outputs = torch.cat(self._held_out)
        scores = self.scores(outputs, self.predict_rows(data, rows), data, rows)
        if data.benchmark.task == "membership" and not self.higher_is_member:
            scores = -scores
        metrics = self.stage_metrics(data, "val/")
        metrics.update(torch.from_numpy(scores), torch.from_numpy(data.benchmark.targets(rows)))
        self.log_dict(metrics.compute(), sync_dist=True, batch_size=len(rows))
        metrics.reset()

    def stage_metrics(self, data: BenchmarkDataModule, stage: str) -> TableMetric:
        """Give the metrics of a stage: one clone each, so that stages never mix.

        Args:
            data: Its benchmark says which metrics.
            stage: Prefix of the names, such as "val/".
        """
        from gansfp.evaluation.torchmetric import task_metrics

        if stage not in self._metrics:
            metrics = task_metrics(data.benchmark.task, data.benchmark.classes)
            self._metrics[stage] = metrics.for_stage(stage)
        return self._metrics[stage]

    def draw_keys(self, images: Tensor, batch_idx: int) -> Tensor:
        """Make keys of random numbers for a batch's images, the same on any number of processes.

        The hyperparameter `seed` decides them, with epoch, step and place in the joint batch.

        Args:
            images: This process's part of the batch, shape (B, ...).
            batch_idx: Number of the batch in its epoch.

        Returns:
            int64 on the device of the images, shape (B,); see `gansfp.data.draws`.
        """
        trainer = self.trainer
        size = len(images) * trainer.world_size
        keys = batch_keys(self.hparams["seed"], self.current_epoch, batch_idx, size)
        mine: Tensor = keys[trainer.global_rank :: trainer.world_size]
        return mine.to(images.device, non_blocking=True)

    @abstractmethod
    def predict_rows(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Name the images whose outputs are needed to score `rows`, unique and ascending."""

    @abstractmethod
    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Map a batch with "row" and "image" (uint8, (B, H, W)) to outputs, shape (B, D)."""

    @abstractmethod
    def scores(
        self,
        outputs: Tensor,
        output_rows: NDArray[np.int64],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Turn outputs into scores.

        Args:
            outputs: Output of `predict_step` for each of `output_rows`, shape (n, D), on the CPU.
            output_rows: What `predict_rows` named, shape (n,).
            data: The datamodule: its benchmark, fit rows and synthetic rows.
            rows: The images to score, shape (m,).

        Returns:
            Membership: raw scores, shape (m,). Attribution: probabilities, shape (m, classes).
        """


def check_classes(trained: Sequence[str] | None, found: Sequence[str]) -> None:
    """Refuse a benchmark with other classes than those that a method was trained on.

    Raises:
        UserError: Names both.
    """
    if trained is not None and list(trained) != list(found):
        raise UserError(
            f"data.root: its classes {list(found)} are not those that the method was trained on, "
            f"{list(trained)}"
        )
