"""Weights & Biases; offline unless asked otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from gansfp.trackers.base import Ending, Tracker, figures_of, metrics_of, tables_of

if TYPE_CHECKING:
    from gansfp.runtime.run import Run

MOST_ROWS = 10_000  # of a prediction table that is shown in the browser


class WandbTracker(WandbLogger, Tracker):
    """A run of Weights & Biases, with its files in the run folder.

    After a requeue it goes on under the same id. A run that raised ends as failed, one that was
    stopped as preempted.

    Args:
        save_dir: The run folder; the files go to `wandb/` there.
        id: Id of the run.
        name: What the browser calls it.
        group: Runs that belong together: the study.
        tags: Words to filter by.
        composed: The whole configuration.
        project: Name of the project.
        entity: User or team; None: the default.
        offline: Write files only; `make sync` sends them later.
        tables: Store the prediction tables too.
    """

    def __init__(
        self,
        save_dir: str,
        id: str,
        name: str,
        group: str | None = None,
        tags: list[str] | None = None,
        composed: dict[str, Any] | None = None,
        project: str = "gansfp",
        entity: str | None = None,
        offline: bool = True,
        tables: bool = True,
    ) -> None:
        import wandb

        super().__init__(
            name=name, save_dir=save_dir, id=id, project=project, offline=offline, group=group,
            tags=tags, config=composed, entity=entity, resume="allow",
            settings=wandb.Settings(console="off", silent=True),
        )  # fmt: skip
        self._wandb_init.pop("anonymous", None)  # Lightning passes it, wandb warns of it
        self._tables = tables

    @rank_zero_only
    def log_outcome(self, run: Run, result: Mapping[str, Any]) -> None:
        """Put the metrics into the summary, and store the tables and the figures."""
        import pandas as pd
        import wandb

        experiment = self.experiment
        experiment.summary.update(metrics_of(result))
        for path in tables_of(run) if self._tables else ():
            frame = pd.read_parquet(path).head(MOST_ROWS)
            experiment.log({f"predictions/{path.stem}": wandb.Table(dataframe=frame)})
        for path in figures_of(run):
            experiment.log({f"figures/{path.stem}": wandb.Image(str(path))})

    @rank_zero_only
    def conclude(self, ending: Ending) -> None:
        """Finish the run; a method that is not fitted by steps begins it here."""
        experiment = self.experiment
        if ending == "interrupted":
            experiment.mark_preempting()
        experiment.finish(exit_code=0 if ending == "finished" else 1)
        self._experiment = None
