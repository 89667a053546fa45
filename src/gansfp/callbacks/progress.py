"""Progress that suits where it goes: a bar on a terminal, now and then a line in a file."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

from gansfp.runtime.progress import duration, write_progress

log = logging.getLogger(__name__)


class Progress(ProgressBar):
    """One line about epoch, step, rate and loss at most every few seconds; a bar on a terminal.

    `progress.json` in the Trainer's folder says the same to `gansfp status`.

    Args:
        every_seconds: Least time between two lines of a log file, or two `progress.json`. A
            terminal line is refreshed in place four times a second.
    """

    def __init__(self, every_seconds: float = 10.0) -> None:
        super().__init__()
        self.every_seconds = every_seconds
        self.live = sys.stderr.isatty()
        self._enabled = True
        self._started = self._shown = self._stored = time.monotonic()
        self._first_step = 0

    def disable(self) -> None:
        """Say nothing from now on; Lightning calls this on all ranks but 0."""
        self._enabled = False

    def enable(self) -> None:
        """Speak again."""
        self._enabled = True

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._started = self._shown = time.monotonic()
        self._first_step = trainer.global_step
        self._store(trainer, self._started)

    def on_train_batch_end(self, trainer: L.Trainer, *arguments: Any) -> None:
        """Show where the fit stands, if it is time."""
        now = time.monotonic()
        if now - self._shown >= (0.25 if self.live else self.every_seconds):
            self._shown = now
            self._show(self._line(trainer, now))
        if now - self._stored >= self.every_seconds:
            self._store(trainer, now)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the last state and leave it standing."""
        now = time.monotonic()
        self._show(self._line(trainer, now))
        self._store(trainer, now)
        if self._enabled and self.live:
            sys.stderr.write("\n")

    def _rate(self, trainer: L.Trainer, now: float) -> float:
        return (trainer.global_step - self._first_step) / max(now - self._started, 1e-9)

    def _store(self, trainer: L.Trainer, now: float) -> None:
        self._stored = now
        if self._enabled and trainer.is_global_zero:
            total = int(trainer.estimated_stepping_batches)
            folder = Path(trainer.default_root_dir)
            write_progress(folder, trainer.global_step, total, self._rate(trainer, now))

    def _line(self, trainer: L.Trainer, now: float) -> str:
        step, total = trainer.global_step, trainer.estimated_stepping_batches
        rate = self._rate(trainer, now)
        parts = [
            f"  step {step}/{int(total)}",
            f"epoch {trainer.current_epoch}",
            f"{rate:.1f} steps/s",
        ]
        if rate > 0 and step < total:
            parts.append(f"{duration((total - step) / rate)} left")
        loss = trainer.progress_bar_metrics.get("train/loss")
        if loss is not None:
            parts.append(f"loss {float(loss):.4g}")
        return "  ".join(parts)

    def _show(self, line: str) -> None:
        if not self._enabled:
            return
        if self.live:
            sys.stderr.write(f"\r\x1b[2K{line}")
            sys.stderr.flush()
        else:
            log.info("%s", line)
