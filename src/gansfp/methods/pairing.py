"""Scores from what a network keeps of each image: of rows, and of many pairs of them."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from gansfp.errors import UserError
from gansfp.methods.pretrained import PretrainedModule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lightning import LightningModule
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from gansfp.data.datamodule import BenchmarkDataModule

    Rows = NDArray[np.int64]


def outputs_of(outputs: Tensor, output_rows: Rows, wanted: Rows) -> Tensor:
    """Take the outputs of some rows, on the CPU.

    Args:
        outputs: What a method made of each of `output_rows`, shape (n, ...).
        output_rows: Ascending, shape (n,).
        wanted: Some of them, shape (m,).

    Returns:
        Shape (m, ...).
    """
    return outputs.detach().cpu()[torch.from_numpy(np.searchsorted(output_rows, wanted))]


class PartneredModule(PretrainedModule):
    """A method whose score of a real image is its mean confidence over synthetic partners.

    The hyperparameters `partners` (how many) and `partner_seed` (which) are its own; the partners
    are the same for all images. `predict_step` gives what a pair is compared by, flat.
    """

    uses_synthetic = "mean"

    @abstractmethod
    def compared_part(self) -> nn.Module:
        """Name the part that compares pairs; it goes to the device of the prediction."""

    @abstractmethod
    def confidence(self, real: Tensor, partners: Tensor) -> Tensor:
        """Compare outputs of `predict_step`, (B, D) each: logits of "used", shape (B,)."""

    def predict_rows(self, data: BenchmarkDataModule, rows: Rows) -> Rows:
        """Name the rows themselves and their partners."""
        return np.union1d(rows, self._partners(data))

    def scores(
        self, outputs: Tensor, output_rows: Rows, data: BenchmarkDataModule, rows: Rows
    ) -> NDArray[np.float64]:
        """Average the confidences over the partners; see the class and `BenchmarkModule`."""
        if not len(rows):
            return np.empty(0)
        real, partners = (
            outputs_of(outputs, output_rows, wanted) for wanted in (rows, self._partners(data))
        )
        every = torch.cartesian_prod(torch.arange(len(real)), torch.arange(len(partners)))
        with on_scoring_device(self, self.compared_part()) as device:
            (logits,) = compare_pairs(
                lambda left, right: (self.confidence(left, right),),
                real,
                partners,
                every.view(-1, 2),
                device,
                chunk=512,
            )
        confidences: NDArray[np.float64] = torch.sigmoid(logits).view(len(real), -1).numpy()
        return np.asarray(confidences.mean(axis=1))

    def _partners(self, data: BenchmarkDataModule) -> Rows:
        rows = data.generated_rows
        if not len(rows):
            raise UserError("data.root: there are no synthetic images to compare with")
        generator = np.random.default_rng(self.hparams["partner_seed"])
        count = min(self.hparams["partners"], len(rows))
        return np.sort(generator.choice(rows, count, replace=False))


def check_partners(partners: int) -> None:
    """Refuse fewer than one partner."""
    if partners < 1:
        raise UserError(f"method.partners={partners}: must be at least 1")


@contextmanager
def on_scoring_device(module: LightningModule, part: nn.Module) -> Iterator[torch.device]:
    """Put a part of a method on the device that it predicts on, in evaluation mode.

    A Trainer takes the method back to the CPU before scores are made from its outputs.

    Args:
        module: The method; its Trainer knows the device.
        part: What compares pairs.
    """
    trainer = module._trainer
    home = next(part.parameters()).device
    device = trainer.strategy.root_device if trainer is not None else home
    training = part.training
    part.to(device).eval()
    try:
        with torch.inference_mode():
            yield device
    finally:
        part.to(home).train(training)


def compare_pairs(
    compare: Callable[[Tensor, Tensor], tuple[Tensor, ...]],
    left: Tensor,
    right: Tensor,
    pairs: Tensor,
    device: torch.device,
    chunk: int = 2048,
) -> tuple[Tensor, ...]:
    """Compare pairs of images, a number of them at a time.

    Args:
        compare: From images of both sides, (B, ...), to values of each pair, (B,).
        left: What the network kept of the left images, shape (n, ...).
        right: Likewise, shape (m, ...).
        pairs: Indices of the left and the right image of each pair, int64, shape (p, 2).
        device: Where to compare.
        chunk: Pairs at a time.

    Returns:
        The values, each fp64, shape (p,), on the CPU.
    """
    found = [
        compare(left[part[:, 0]].to(device), right[part[:, 1]].to(device))
        for part in pairs.split(chunk)  # type: ignore[no-untyped-call]
    ]
    return tuple(torch.cat(values).double().cpu() for values in zip(*found, strict=True))
