"""Networks that learn from images known not to be used, and score none that they learnt from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gansfp.errors import UserError
from gansfp.methods.base import BenchmarkModule
from gansfp.methods.crossfit import folds_of
from gansfp.methods.keys import exclusion_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule

    Rows = NDArray[np.int64]


class FoldedModule(BenchmarkModule):
    """A network a fold, fitted together, as `gansfp.methods.crossfit` fits statistics.

    Each patient has a fold, by a hash of its key. The network of a fold learns from the synthetic
    images and from the known non-members of the other folds, and scores every image of this one,
    labelled or not: known non-members and test images that were not used are treated alike.

    Training batches hold "row" and "image", synthetic, and "outsider_row" and "outsider_image",
    known not to be used (`gansfp.data.generated.AgainstOutsiders`).
    """

    uses_synthetic = "mean"
    fits_labels = False

    def __init__(self, folds: int) -> None:
        super().__init__()
        if folds < 2:
            raise UserError(f"method.folds={folds}: must be at least 2")
        self._folds = folds
        self._fold: Tensor | None = None

    def setup(self, stage: str) -> None:
        """Find the fold of each image, and refuse a fold that leaves nobody to learn from.

        Raises:
            UserError: The task is another, or too few images are known not to be used.
        """
        data: BenchmarkDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        if data.benchmark.task != "membership":
            raise UserError(f"method: {type(self).__name__} is for task=membership")
        benchmark = data.benchmark
        fold = folds_of(exclusion_keys(benchmark, np.arange(len(benchmark))), self._folds)
        self._fold = torch.from_numpy(fold).to(self.trainer.strategy.root_device)
        if stage != "fit":
            return
        known = np.intersect1d(data.fit_rows, benchmark.rows("train", "real_not_used"))
        for number in range(self._folds):
            if not (fold[known] != number).any():
                raise UserError(
                    f"method.folds={self._folds}: no image known not to be used is left to fit on; "
                    "label more images"
                )

    def seen(self, batch: dict[str, Tensor]) -> Tensor:
        """Say which network may learn from which known non-member of a batch, bool (folds, B)."""
        assert self._fold is not None
        numbers = torch.arange(self._folds, device=self._fold.device)
        return self._fold[batch["outsider_row"]][None] != numbers[:, None]

    def predict_rows(self, data: BenchmarkDataModule, rows: Rows) -> Rows:
        """Name the rows themselves."""
        return np.unique(rows)

    def by_fold(self, rows: Tensor, value: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Ask, for each image, the network that did not learn from its patient.

        Args:
            rows: Images, shape (B,).
            value: Takes the number of a network and positions in `rows`, int64 (b,); gives a value
                each, shape (b,).

        Returns:
            Shape (B,).
        """
        assert self._fold is not None
        fold = self._fold[rows]
        places = [torch.nonzero(fold == number)[:, 0] for number in range(self._folds)]
        found = [value(number, at) for number, at in enumerate(places) if len(at)]
        order = torch.cat(places)
        return torch.cat(found)[order.argsort()]
