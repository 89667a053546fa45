"""A job as it was submitted: its whole configuration and its code, in files that nobody edits."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansfp.ensembles.composing import without_hydra
from gansfp.runtime.files import read_json, write_json
from gansfp.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from omegaconf import DictConfig

JOBS = ".jobs"
"""Beside the run folders: `.jobs/<launch>/<number>/`, a folder a job."""

CONFIG, RECORD, STATE, TICKET = "config.yaml", "job.json", "state.json", "ticket.json"


@dataclass(frozen=True)
class Job:
    """One job of a launch.

    Attributes:
        folder: Its own: configuration, log, state.
        number: Position in the sweep, from 0.
        command: The command word.
        name: The overrides that tell it from the others.
        overrides: All of them.
        run: The folder that it will write.
        identity: Equal for two jobs that are the same piece of work.
        where: Working folder: paths in the configuration are relative to it.
        code: What goes first on PYTHONPATH.
        launcher: "local" or "slurm".
        needs: Jobs, by identity, that are over before this one starts, however they ended.
        follows: The job that has to have succeeded.
        unless: A run whose result makes this job superfluous.
        submitted: Seconds since 1970.
    """

    folder: Path
    number: int
    command: str
    name: str
    overrides: list[str]
    run: Path
    identity: str
    where: Path
    code: Path
    launcher: str
    needs: list[str] = field(default_factory=list)
    follows: str | None = None
    unless: Path | None = None
    submitted: float = field(default_factory=time.time)

    def write(self, config: DictConfig) -> None:
        """Store the job, and its configuration as composed: values filled in, `hydra` beside."""
        from omegaconf import OmegaConf

        self.folder.mkdir(parents=True)
        hydra = OmegaConf.to_container(config.hydra, resolve=False)
        task = OmegaConf.to_container(without_hydra(config), resolve=True)
        OmegaConf.save({"task": task, "hydra": hydra}, self.folder / CONFIG)
        write_json(self.folder / RECORD, {k: _plain(v) for k, v in asdict(self).items()})

    @classmethod
    def read(cls, folder: Path) -> Job | None:
        """Read a job back; None where there is none, or one of another version of gansfp."""
        record = read_json(folder / RECORD)
        if not isinstance(record, dict) or set(record) != {item.name for item in fields(cls)}:
            return None
        paths = {key: Path(record[key]) for key in ("run", "where", "code", "unless")
                 if record[key] is not None}  # fmt: skip
        return cls(**{**record, **paths, "folder": folder})

    def move_to(self, run: Path) -> None:
        """Store the run folder of a job that could not know it at submission."""
        write_json(
            self.folder / RECORD, {**(read_json(self.folder / RECORD) or {}), "run": str(run)}
        )

    @property
    def superfluous(self) -> bool:
        """What it was to help to is there already: no further round of an ensemble was needed."""
        return self.unless is not None and Run(self.where / self.unless).result is not None

    @property
    def not_started(self) -> str | None:
        """Say why a job that is gone never ran, where other jobs are the reason."""
        if self.state or self.follows is None:
            return None
        return "not started: an earlier stage of its ensemble failed"

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run folder says of a finished run; the launchers believe nothing else."""
        found = read_json(self.where / self.run / "result.json")
        return found if isinstance(found, dict) else None

    @property
    def state(self) -> dict[str, Any]:
        """What the job said last of itself; empty before it starts."""
        return read_json(self.folder / STATE) or {}

    def say(self, state: str, **facts: Any) -> None:
        """Store a new state: running, finished, failed, interrupted or died."""
        write_json(self.folder / STATE, {"state": state, "time": time.time(), **facts})

    @property
    def ticket(self) -> dict[str, Any]:
        """What its launcher knows it by: `slurm` (an id) or `pid`, and its `log`."""
        return read_json(self.folder / TICKET) or {}

    def hand_out(self, **ticket: Any) -> None:
        """Store the ticket."""
        write_json(self.folder / TICKET, ticket)

    @property
    def log(self) -> Path:
        """What the job prints."""
        return Path(self.ticket.get("log") or self.folder / "log.txt")

    def tail(self, lines: int = 5) -> list[str]:
        """Give the last lines of the log that are not blank."""
        try:
            text = self.log.read_text("utf-8", errors="replace")
        except OSError:
            return []
        return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]


def load_config(folder: Path) -> DictConfig:
    """Read the configuration of a job, and let Hydra's look-ups answer as they did at submission.

    Returns:
        The configuration of the command.
    """
    from hydra.conf import HydraConf
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import setup_globals
    from omegaconf import OmegaConf

    setup_globals()
    stored: Any = OmegaConf.load(folder / CONFIG)
    hydra = OmegaConf.structured(HydraConf)
    OmegaConf.set_struct(hydra, False)
    whole = OmegaConf.create({})
    whole.hydra = OmegaConf.merge(hydra, stored.hydra)
    HydraConfig.instance().set_config(whole)
    task: DictConfig = stored.task
    OmegaConf.set_struct(task, True)
    return task


def jobs_below(folder: Path) -> Iterator[Job]:
    """Find the jobs of every launch below a folder, the oldest launch first."""
    records = sorted(folder.rglob(f"{JOBS}/*/*/{RECORD}"))
    for record in sorted(records, key=lambda path: path.parent.parent.name):
        job = Job.read(record.parent)
        if job is not None:
            yield job


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
