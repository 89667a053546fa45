"""Scores of a translation: where the discriminator looks on real and on synthetic images."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.augment import unit_range
from gansfp.errors import UserError
from gansfp.methods.base import BenchmarkModule
from gansfp.methods.dclgan.network import PatchDiscriminator, attention_map
from gansfp.methods.pairing import outputs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.data.datamodule import BenchmarkDataModule

    Rows = NDArray[np.int64]

_ATTENDED = 3
"""Last maps of the discriminator that attention is read from."""


class AttentionModule(BenchmarkModule):
    """A method whose discriminator's attention decides.

    The score of a real image is the overlap (intersection over union) of where the attention on it
    is strongest with where it is on the mean synthetic image. The hyperparameters `map_side` (of
    attention maps, pixels) and `share` (of the pixels that attention is said to be on) are its own.
    """

    uses_synthetic = "mean"

    @abstractmethod
    def judge(self) -> PatchDiscriminator:
        """Name the discriminator that tells real from translated synthetic images."""

    def predict_rows(self, data: BenchmarkDataModule, rows: Rows) -> Rows:
        """Name the rows themselves and the synthetic images."""
        if not len(data.generated_rows):
            raise UserError("data.root: there are no synthetic images to compare with")
        return np.union1d(rows, data.generated_rows)

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Give flat attention maps, shape (B, map_side^2)."""
        maps = self.judge()(self.scaled(batch["image"]))[1]
        return attention_map(maps[-_ATTENDED:], self.hparams["map_side"]).flatten(1)

    def scores(
        self, outputs: Tensor, output_rows: Rows, data: BenchmarkDataModule, rows: Rows
    ) -> NDArray[np.float64]:
        """Overlap attention on each image with that on the mean synthetic one."""
        real, made = (
            outputs_of(outputs, output_rows, wanted).double().numpy()
            for wanted in (rows, data.generated_rows)
        )
        return overlap(real, made.mean(axis=0, keepdims=True), self.hparams["share"])

    def scaled(self, images: Tensor) -> Tensor:
        """Bring grey images, (B, H, W), to [-1, 1], (B, 1, H, W)."""
        grey = unit_range(images).unsqueeze(1).to(next(self.parameters()).dtype)
        return 2 * grey - 1


def check_share(share: float) -> None:
    """Refuse a share of the places that is none."""
    if not 0 < share < 1:
        raise UserError(f"method.share={share}: must be between 0 and 1")


def overlap(
    maps: NDArray[np.float64], other: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Measure how far the strongest places of maps are those of another map.

    Args:
        maps: Shape (n, places).
        other: Shape (1, places).
        share: Of the places that count as strongest.

    Returns:
        Intersection over union, shape (n,).
    """
    left, right = (_strongest(values, share) for values in (maps, other))
    both, either = (left & right).sum(axis=1), (left | right).sum(axis=1)
    return np.asarray(both / np.maximum(either, 1), dtype=np.float64)


def _strongest(maps: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    count = max(1, round(share * maps.shape[1]))
    order = np.argsort(-maps, axis=1, kind="stable")[:, :count]
    found = np.zeros(maps.shape, dtype=bool)
    np.put_along_axis(found, order, True, axis=1)
    return found
