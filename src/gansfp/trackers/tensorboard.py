"""TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from gansfp.trackers.base import Ending, Tracker, figures_of, metrics_of

if TYPE_CHECKING:
    from gansfp.runtime.run import Run


class TensorBoardTracker(TensorBoardLogger, Tracker):
    """Event files in `tensorboard/` of the run folder: `tensorboard --logdir runs`.

    Args:
        save_dir: The run folder.
        composed: The whole configuration, shown as text.
    """

    def __init__(self, save_dir: str, composed: dict[str, Any] | None = None) -> None:
        super().__init__(save_dir, name="", version="tensorboard", default_hp_metric=False)
        self._composed = composed

    @rank_zero_only
    def log_outcome(self, run: Run, result: Mapping[str, Any]) -> None:
        """Store the metrics as scalars, the configuration as text, and the figures."""
        import numpy as np
        from PIL import Image

        for name, value in metrics_of(result).items():
            self.experiment.add_scalar(name, value, 0)
        text = json.dumps(self._composed, indent=1, ensure_ascii=False)
        self.experiment.add_text("config", "    " + text.replace("\n", "\n    "))
        for path in figures_of(run):
            pixels = np.asarray(Image.open(path).convert("RGB"))
            self.experiment.add_image(f"figures/{path.stem}", pixels, dataformats="HWC")

    @rank_zero_only
    def conclude(self, ending: Ending) -> None:
        """Say how it ended, and close the file."""
        self.experiment.add_text("ending", ending)
        self.experiment.close()
