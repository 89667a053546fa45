"""End a fit with the weights of its best epoch."""

from __future__ import annotations

import logging
from typing import Any

import lightning as L
from torch import Tensor

from gansfp.errors import UserError

log = logging.getLogger(__name__)


class KeepBest(L.Callback):
    """Put the weights of the best epoch back at the end of a fit.

    They lie in the state of this callback, so that they are part of `last.ckpt` and a resumed fit
    ends with the same ones. It must come before the callback that saves the finished state.

    Args:
        monitor: A metric of the held-out fold. The first of equal epochs counts.
        mode: `max` or `min`.
    """

    def __init__(self, monitor: str, mode: str = "max") -> None:
        self.monitor = monitor
        self.sign = 1.0 if mode == "max" else -1.0
        self.best: float | None = None
        self.epoch: int | None = None
        self._weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keep a copy of the weights where the metric is better than ever.

        Raises:
            UserError: The metric was not logged.
        """
        if trainer.sanity_checking:
            return
        if self.monitor not in trainer.callback_metrics:
            raise UserError(
                f"method.keep=best: {self.monitor} is not measured; it has "
                f"{', '.join(trainer.callback_metrics) or 'no metric'}"
            )
        value = float(trainer.callback_metrics[self.monitor])
        if self.best is None or self.sign * value > self.sign * self.best:
            self.best, self.epoch = value, trainer.current_epoch
            state = pl_module.state_dict()
            self._weights = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Load the best weights.

        Raises:
            UserError: No epoch was validated.
        """
        if self.best is None:
            raise UserError(
                "method.keep=best needs images to choose the epoch on: hold a fold out "
                "(data.fold=0), or take method.keep=last"
            )
        pl_module.load_state_dict(self._weights)
        log.info("kept epoch %s: %s %.4f", self.epoch, self.monitor, self.best)

    def state_dict(self) -> dict[str, Any]:
        """Hold the best weights and how good they are."""
        return {"best": self.best, "epoch": self.epoch, "weights": self._weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.best, self.epoch = state["best"], state["epoch"]
        self._weights = dict(state["weights"])
