"""What the datamodules of both tasks share: loading, folds, loaders, images on the device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import lightning as L
import numpy as np
from torch import Tensor

from gansfp.data.batches import PlanLoader, RowPlan
from gansfp.data.benchmark import Benchmark, Survey, load_benchmark, survey_benchmark
from gansfp.data.folds import benchmark_folds, first_of_each, sequestered
from gansfp.data.pseudo import pseudo_rows, with_pseudo_labels
from gansfp.data.store import ImageStore
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gansfp.data.augment import Augment
    from gansfp.data.batches import Sampling
    from gansfp.data.layout import Task
    from gansfp.features.residuals import Denoiser

PREDICT_PIXELS = 1 << 22
CPU_PREDICT_PIXELS = 1 << 19
"""Keeps each buffer of a CNN at some 32 MB, which `keep_small_buffers` can keep."""
REAL_ROLES = ("real", "real_used", "real_not_used")
UseGenerated = Literal["both", "train", "test"]


class BenchmarkDataModule(L.LightningDataModule, ABC):
    """A benchmark with its folds and batches.

    Args:
        root: Holds the train and the test folder.
        train_dir: The train folder, where it does not lie in `root`.
        test_dir: The test folder, where it does not lie in `root`.
        groups: Table of file and group, instead of the `groups.csv` in the folders.
        resize: Side that every image is scaled to; None: sizes must agree.
        bits16: Grey values that become 0 and 255 where a file has more than 8 bits.
        cache_dir: Where decoded pixels are kept; None: the user's cache folder.
        generated_from: Membership, a control: another benchmark, whose synthetic images stand in
            for this one's; what a method still finds then does not come from the generator.
        sampling: How training batches are drawn (`gansfp.data.pairs`); None: prediction only.
        folds: Number of folds of the labelled candidates.
        fold: The fold held out of fitting; "all": every one; None: nothing is held out.
        folds_file: CSV of `sample_id, fold`, read where it exists and written where it does not.
        holdout: Which labelled images the folds are made of: the `candidates`, which the task asks
            about, or the `real` ones.
        sequester: Share of the labelled candidates that takes part in nothing, neither in fitting
            nor in the held-out fold, until an ensemble asks for it.
        per_class: So many candidates of each label are fitted on, those of a smaller number among
            those of a larger one, for learning curves; None: all.
        seed: Of batches.
        split_seed: Of folds, the sequestered part and `per_class`; None: `seed`.
        predict_batch_size: Images in a prediction batch; None: up to 256, as many as have 4 million
            pixels, or on a CPU half a million.
        use_generated: Whose generated images membership methods read.
        pseudo_labels: Table of `sample_id, label` of test images that training batches hold too.
        fit_role: Methods are fitted on labelled images of this role alone, such as "generated" or
            "real" of attribution, whatever else they would read; None: of every role.
        residual: Every image is replaced by what this denoiser takes from it
            (`gansfp.features.residuals.residual_images`); None: images as they are.
        augment: Changes the images of training batches, which are float in [0, 1] then; None: they
            are uint8 as read.

    Attributes:
        predict_rows: Rows that `predict_dataloader` goes through; set before predicting.
    """

    task: ClassVar[Task]

    def __init__(
        self,
        root: str | Path | None = None,
        train_dir: str | Path | None = None,
        test_dir: str | Path | None = None,
        groups: str | Path | None = None,
        resize: int | Sequence[int] | None = None,
        bits16: Sequence[int] = (0, 65535),
        cache_dir: str | Path | None = None,
        generated_from: str | Path | None = None,
        sampling: Sampling | None = None,
        folds: int = 5,
        fold: int | Literal["all"] | None = 0,
        folds_file: str | Path | None = None,
        holdout: Literal["candidates", "real"] = "candidates",
        sequester: float = 0.0,
        per_class: int | None = None,
        seed: int = 0,
        split_seed: int | None = None,
        predict_batch_size: int | None = None,
        use_generated: UseGenerated = "both",
        pseudo_labels: str | Path | None = None,
        augment: Augment | None = None,
        fit_role: str | None = None,
        residual: Denoiser | None = None,
    ) -> None:
        super().__init__()
        if fold not in (None, "all", *range(folds)):
            raise UserError(
                f"data.fold={fold}: must be null, all, or 0 to {folds - 1} (data.folds={folds})"
            )
        if holdout not in ("candidates", "real"):
            raise UserError(f"data.holdout={holdout}: must be candidates or real")
        if use_generated not in ("both", "train", "test"):
            raise UserError(f"data.use_generated={use_generated}: must be both, train or test")
        self._where: dict[str, Any] = {
            "root": root,
            "train_dir": train_dir,
            "test_dir": test_dir,
            "groups": groups,
            "resize": resize,
            "bits16": bits16,
            "cache_dir": cache_dir,
            "generated_from": generated_from,
        }
        self._sampling = sampling
        self._n_folds = folds
        self._fold = fold
        self._folds_file = Path(folds_file).expanduser() if folds_file is not None else None
        self._holdout = holdout
        if per_class is not None and per_class < 1:
            raise UserError(f"data.per_class={per_class}: must be at least 1, or null")
        self._sequester = sequester
        self._per_class = per_class
        self._seed = seed
        self._split_seed = seed if split_seed is None else split_seed
        self._pseudo_labels = None if pseudo_labels is None else Path(pseudo_labels).expanduser()
        self._predict_batch_size = predict_batch_size
        self._use_generated = use_generated
        self._augment = augment
        self._fit_role = fit_role
        self._residual = residual
        self.predict_rows: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    @cached_property
    def benchmark(self) -> Benchmark:
        """The benchmark, read on first use."""
        found = load_benchmark(self.task, **self._where)
        if self._residual is None:
            return found
        from gansfp.features.residuals import residual_images

        store = ImageStore(residual_images(found.store.pixels, self._residual))
        return replace(found, store=store)

    def survey(self) -> Survey:
        """Read the benchmark as far as possible, with all its problems."""
        return survey_benchmark(self.task, **self._where)

    def prepare_data(self) -> None:
        """Decode into the cache, once a node."""
        _ = self.benchmark

    def setup(self, stage: str | None = None) -> None:
        """Map the pixels, on every rank."""
        _ = self.benchmark

    @cached_property
    def candidate_folds(self) -> NDArray[np.int64]:
        """Fold of each row of `labelled_rows`."""
        return benchmark_folds(
            self.benchmark, self._n_folds, self._split_seed, self._folds_file, self.labelled_rows
        )

    @property
    def labelled_rows(self) -> NDArray[np.int64]:
        """Labelled images that are dealt into folds."""
        if self._holdout == "candidates":
            return self.benchmark.candidates("train")
        real = [self.benchmark.rows("train", role) for role in REAL_ROLES]
        return np.sort(np.concatenate(real))

    @cached_property
    def sequestered_rows(self) -> NDArray[np.int64]:
        """Labelled images that take part in nothing."""
        return sequestered(self.benchmark, self.labelled_rows, self._sequester, self._split_seed)

    @cached_property
    def holdout_rows(self) -> NDArray[np.int64]:
        """Labelled images of the held-out fold; empty where nothing is held out."""
        rows = self.labelled_rows
        if self._fold is None:
            return rows[:0]
        if self._fold != "all":
            rows = rows[self.candidate_folds == self._fold]
        return np.setdiff1d(rows, self.sequestered_rows)

    @cached_property
    def fit_rows(self) -> NDArray[np.int64]:
        """Labelled rows that a method may be fitted on: no group of them is kept from it."""
        candidates = self._not_kept_back(self.benchmark.candidates("train"))
        if self._per_class is not None:
            labels = self.benchmark.labels(candidates)
            candidates = first_of_each(candidates, labels, self._per_class, self._split_seed)
        rows = np.sort(np.concatenate([candidates, self._not_kept_back(self._support_rows())]))
        if self._fit_role is None:
            return rows
        kept = np.intersect1d(rows, self.benchmark.rows("train", self._fit_role))
        if not len(kept):
            raise UserError(f"data.fit_role={self._fit_role}: no labelled image is left to fit on")
        return kept

    @cached_property
    def pseudo_rows(self) -> NDArray[np.int64]:
        """Test images with a pseudo-label; empty without a file of them."""
        if self._pseudo_labels is None:
            return self.benchmark.candidates("test")[:0]
        return self._not_kept_back(pseudo_rows(self.benchmark, self._pseudo_labels))

    @property
    def transductive(self) -> bool:
        """Whether training batches hold test images."""
        reads_test = getattr(self._sampling, "transductive", False)
        return self._pseudo_labels is not None or bool(reads_test)

    def _not_kept_back(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Drop rows of a group that is held out or sequestered."""
        kept_back = np.concatenate([self.holdout_rows, self.sequestered_rows])
        groups = self.benchmark.groups
        return rows[~np.isin(groups(rows), np.unique(groups(kept_back)))]

    @property
    @abstractmethod
    def generated_rows(self) -> NDArray[np.int64]:
        """Synthetic images that a method may read."""

    def _support_rows(self) -> NDArray[np.int64]:
        """Labelled rows that the task does not ask about."""
        return np.empty(0, dtype=np.int64)

    def train_dataloader(self) -> PlanLoader:
        """Load this rank's share of the training batches.

        Raises:
            UserError: No sampling is configured, or ranks cannot share a batch evenly.
        """
        if self._sampling is None:
            raise UserError("data.sampling is not set: data/sampling=images or data/sampling=pairs")
        plan = self._sampling.bind(*self._training_set(), self._seed)
        rank, world_size = (0, 1)
        if self.trainer is not None:
            rank, world_size = self.trainer.global_rank, self.trainer.world_size
        draw_seed = None if self._augment is None else self._seed
        return PlanLoader(plan, rank, world_size, draw_seed)

    def _training_set(self) -> tuple[Benchmark, NDArray[np.int64]]:
        """Give the rows of training batches, and a benchmark in which they have labels."""
        if self._pseudo_labels is None:
            return self.benchmark, self.fit_rows
        shown = with_pseudo_labels(self.benchmark, self._pseudo_labels)
        return shown, np.union1d(self.fit_rows, self.pseudo_rows)

    def val_dataloader(self) -> PlanLoader | list[Any]:
        """Load, on every rank alike, what the method needs to score the held-out fold.

        Nothing where no fold is held out.
        """
        method: Any = None if self.trainer is None else self.trainer.lightning_module
        if not len(self.holdout_rows) or not hasattr(method, "predict_rows"):
            return []
        return self._in_order(method.predict_rows(self, self.holdout_rows))

    def predict_dataloader(self) -> PlanLoader:
        """Load `predict_rows` in order."""
        return self._in_order(self.predict_rows)

    def _in_order(self, rows: NDArray[np.int64]) -> PlanLoader:
        size = self._predict_batch_size
        if size is None:
            height, width = self.benchmark.image_size
            trainer = self.trainer
            cpu = trainer is None or trainer.strategy.root_device.type == "cpu"
            pixels = CPU_PREDICT_PIXELS if cpu else PREDICT_PIXELS
            size = max(1, min(256, pixels // (height * width)))
        return PlanLoader(RowPlan(rows, size))

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Add the pixels of each column of rows: "row" brings "image", "x_row" brings "x_image".

        Training batches are augmented where that is configured. Several views of an image are
        columns of their own: "image", "image_2", ...
        """
        images = {
            f"{name.removesuffix('row')}image": self.benchmark.store.gather(rows, rows.device)
            for name, rows in batch.items()
            if isinstance(rows, Tensor) and (name == "row" or name.endswith("_row"))
        }
        if self._augment is not None and "draw" in batch:
            images = self._augment.columns(images, batch["draw"])
        return {**batch, **images}
