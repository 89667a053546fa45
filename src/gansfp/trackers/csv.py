"""metrics.csv: of all trackers the one that is always there."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import CSVLogger

from gansfp.trackers.base import Ending, Tracker

if TYPE_CHECKING:
    from gansfp.runtime.run import Run


class CsvTracker(CSVLogger, Tracker):
    """Write `metrics.csv` into the run folder; after a stop it keeps what was there before.

    Lightning's own removes the file when it starts. Here the rows up to the step that the fit went
    on from stay, and the steps that are done again replace their former rows.

    Args:
        save_dir: The run folder.
    """

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir, name="", version="")
        self._earlier = _rows(Path(self.log_dir) / "metrics.csv")

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Keep a row."""
        super().log_metrics(dict(metrics), step)
        if self._earlier and step is not None and self._experiment is not None:
            kept = [row for row in self._earlier if int(row["step"]) < step]
            rows: list[Any] = self._experiment.metrics
            rows[:0] = kept  # written as they were
            self._earlier = []

    def log_outcome(self, run: Run, result: Mapping[str, Any]) -> None:
        """Nothing: `result.json` lies beside it."""

    def conclude(self, ending: Ending) -> None:
        """Write what is not written yet."""
        if self._experiment is not None:
            self.save()


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError:
        return []
    filled = [{key: value for key, value in row.items() if value} for row in rows]
    return [row for row in filled if row.get("step", "").isdigit()]
