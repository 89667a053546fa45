"""What gansfp asks of a tracker beyond Lightning's logger."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lightning.pytorch.loggers.logger import Logger

if TYPE_CHECKING:
    from gansfp.runtime.run import Run

Ending = Literal["finished", "failed", "interrupted"]


class Tracker(Logger):
    """A logger that is told the result of a run, and how the run ended.

    A user's own Lightning logger need not be one: it then hears `finalize`, and of the result its
    metrics.
    """

    @abstractmethod
    def log_outcome(self, run: Run, result: Mapping[str, Any]) -> None:
        """Store the metrics of the result, the prediction tables and the figures."""

    @abstractmethod
    def conclude(self, ending: Ending) -> None:
        """End the tracker's run; an interrupted one may go on under the same id."""


def metrics_of(result: Mapping[str, Any]) -> dict[str, float]:
    """Flatten a result to `test/kappa`, `test/kappa_low`, `test/kappa_high`, ..."""
    flat = {}
    for part in ("test", "patients", "validation"):
        for name, values in ((result.get(part) or {}).get("metrics") or {}).items():
            for suffix, value in zip(("", "_low", "_high"), values, strict=False):
                if value is not None:
                    flat[f"{part}/{name}{suffix}"] = float(value)
    return flat


def tables_of(run: Run) -> Iterator[Path]:
    """Find the prediction tables of a run."""
    yield from sorted((run.folder / "predictions").glob("*.parquet"))


def figures_of(run: Run) -> Iterator[Path]:
    """Find the pictures of a run."""
    yield from sorted((run.folder / "figures").glob("*.png"))
