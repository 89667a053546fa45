"""MLflow with a local store of plain files, which many jobs can write to at once."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch.loggers import MLFlowLogger
from lightning.pytorch.utilities import rank_zero_only

from gansfp.trackers.base import Ending, Tracker, figures_of, metrics_of, tables_of

if TYPE_CHECKING:
    from gansfp.runtime.run import Run

TAG = "gansfp.tracker"
STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "SCHEDULED"}
LONGEST = 6000  # characters of a parameter's value
PATIENCE = 30.0  # seconds for another job to make the experiment


class MLflowTracker(MLFlowLogger, Tracker):
    """A run of MLflow; after a requeue it goes on as the same run.

    The store is `runs/mlruns`: `MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri
    runs/mlruns` shows it. A run that raised ends as FAILED; one that was stopped is SCHEDULED.

    Args:
        id: Which run this is; kept in the tag `gansfp.tracker`.
        name: What the browser calls it.
        group: The experiment that it belongs to: the study.
        tags: Words, stored as tags of the value "true".
        composed: The whole configuration; stored as parameters.
        store: Folder of the store.
        tracking_uri: A server instead of the folder.
    """

    def __init__(
        self,
        id: str,
        name: str,
        group: str = "default",
        tags: list[str] | None = None,
        composed: dict[str, Any] | None = None,
        store: str = "runs/mlruns",
        tracking_uri: str | None = None,
    ) -> None:
        # Its files may be written by many jobs at once, on any shared file system; a database of
        # one file may not. MLflow maintains this store, but wants to be told that it is meant.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._store = None if tracking_uri else Path(store).absolute()
        uri = tracking_uri or f"file:{self._store}"
        labels = {TAG: id, **dict.fromkeys(tags or (), "true")}
        super().__init__(experiment_name=group, run_name=name, tracking_uri=uri, tags=labels)
        self._id = id
        self._composed = composed or {}

    @property
    def experiment(self) -> Any:
        """The client, with the run found or made."""
        if not self._initialized and getattr(rank_zero_only, "rank", 0) == 0:
            self._find_or_make_experiment()
            self._run_id = self._find_run()
            again = self._run_id is not None
            client = super().experiment
            if again:
                client.update_run(self._run_id, status="RUNNING")
            else:
                self.log_hyperparams(self._composed)
            return client
        return super().experiment

    def log_hyperparams(self, params: Any) -> None:
        """Store parameters; values that are too long are cut."""
        plain = params if isinstance(params, dict) else vars(params)
        super().log_hyperparams({key: str(value)[:LONGEST] for key, value in plain.items()})

    @rank_zero_only
    def log_outcome(self, run: Run, result: Mapping[str, Any]) -> None:
        """Store metrics, and as artifacts the result, the tables and the figures."""
        client = self.experiment
        for name, value in metrics_of(result).items():
            client.log_metric(self._run_id, name, value)
        for path in (run.folder / "result.json", *tables_of(run), *figures_of(run)):
            if path.exists():
                client.log_artifact(self._run_id, str(path))

    @rank_zero_only
    def finalize(self, status: str = "success") -> None:
        """Lightning's word at the end of the fit; the run goes on."""

    @rank_zero_only
    def conclude(self, ending: Ending) -> None:
        """Store how the run ended."""
        client = self.experiment
        if ending == "interrupted":
            client.update_run(self._run_id, status=STATUS[ending])
        else:
            client.set_terminated(self._run_id, STATUS[ending])

    def _find_run(self) -> str | None:
        found = self._mlflow_client.get_experiment_by_name(self._experiment_name)
        runs = self._mlflow_client.search_runs(
            [found.experiment_id] if found else [], f"tags.`{TAG}` = '{self._id}'"
        )
        return runs[0].info.run_id if runs else None

    def _find_or_make_experiment(self) -> None:
        with _alone(self._store, self._experiment_name):
            if self._mlflow_client.get_experiment_by_name(self._experiment_name) is None:
                self._mlflow_client.create_experiment(self._experiment_name)


@contextlib.contextmanager
def _alone(store: Path | None, name: str) -> Iterator[None]:
    """Hold the right to make an experiment: of many jobs that start at once only one may.

    MLflow's files have no lock of their own. Making a folder is atomic on every file system; one
    that a killed job left behind is passed over after a while.
    """
    if store is None:
        yield
        return
    store.parent.mkdir(parents=True, exist_ok=True)
    lock = store.with_name(f".{store.name}.{name.replace('/', '-')}")
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            lock.mkdir()
            break
        except FileExistsError:
            time.sleep(0.05)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.rmdir()
