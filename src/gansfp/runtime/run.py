"""A run folder: named by its configuration, claimed, resumed, skipped, never half written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gansfp.errors import UserError
from gansfp.runtime import settings
from gansfp.runtime.claims import Claim
from gansfp.runtime.code import running_code
from gansfp.runtime.files import read_json, write_json
from gansfp.runtime.interrupts import is_interrupt, undisturbed
from gansfp.runtime.provenance import provenance

log = logging.getLogger(__name__)

# What may change without making it another experiment.
OUTSIDE_THE_HASH = (
    "hydra",
    "paths",
    "logger",
    "callbacks",
    "study",
    "experiment_name",
    "force",
    "trust",
    "source_phrases",
    "networks",  # its values are in the nodes that they go to
)


def config_hash(config: DictConfig) -> str:
    """Hash what decides the numbers of a run: 8 hexadecimal digits.

    Left out: `hydra`, `paths`, `logger`, `callbacks`, and the keys that only name or place a run.
    Pseudo-labels count by what their file says, not by where it lies.
    """
    plain: dict[str, Any] = {
        str(key): value
        for key, value in OmegaConf.to_container(config, resolve=True).items()  # type: ignore[union-attr]
        if key not in OUTSIDE_THE_HASH
    }
    if (plain.get("data") or {}).get("pseudo_labels"):
        from gansfp.data.pseudo import content_hash  # pandas, which few runs need here

        plain["data"]["pseudo_labels"] = content_hash(Path(plain["data"]["pseudo_labels"]))
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def without_seed(config: DictConfig) -> DictConfig:
    """Copy a configuration with seed 0: equal for all seeds of one variant."""
    copy: DictConfig = config.copy()
    copy.seed = 0
    return copy


class Run:
    """The files of one run.

    Attributes:
        folder: `runs/<study>/<experiment>-s<seed>-<hash8>`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, config: DictConfig) -> Run:
        """Name the folder of a configuration; nothing is written."""
        experiment = str(config.experiment_name).replace("/", "-")
        name = f"{experiment}-s{config.seed}-{config_hash(config)}"
        return cls(Path(config.paths.runs) / str(config.study) / name)

    @property
    def result(self) -> dict[str, Any] | None:
        """The stored result of a finished run, else None."""
        found = read_json(self.folder / "result.json")
        return found if isinstance(found, dict) else None

    @property
    def config(self) -> DictConfig:
        """The resolved configuration.

        Raises:
            UserError: The folder holds none.
        """
        path = self.folder / "config.yaml"
        if not path.is_file():
            raise UserError(f"{self.folder}: not a run folder (it has no config.yaml)")
        loaded = OmegaConf.load(path)
        if not isinstance(loaded, DictConfig):
            raise UserError(f"{path}: not a configuration")
        return loaded

    def predictions(self, split: str) -> Path:
        """Name the prediction table of a split."""
        return self.folder / "predictions" / f"{split}.parquet"

    def start(self, config: DictConfig) -> None:
        """Write the configuration and the provenance; `code.diff` where the code was edited."""
        OmegaConf.save(OmegaConf.to_container(config, resolve=True), self.folder / "config.yaml")
        earlier = read_json(self.folder / "run.json") or {}
        facts = {
            "experiment": str(config.experiment_name),
            "task": config.get("task"),
            "seed": int(config.seed),
            "study": str(config.study),
            "hash": config_hash(config),
            "variant": config_hash(without_seed(config)),
            "changes": settings.changes(),
            "published_run": config.get("published_run"),
            "tracker": earlier.get("tracker") or uuid.uuid4().hex[:12],
            "started": _now(),
            # What earlier starts of this run were made of: commit, machine, SLURM job.
            "starts_before": _starts_before(earlier),
        }
        write_json(self.folder / "run.json", facts | provenance())
        diff = running_code().diff
        if diff:
            (self.folder / "code.diff").write_text(diff, "utf-8")

    @property
    def tracker(self) -> str:
        """The id that trackers know this run by; it outlives stops and requeues."""
        return str((read_json(self.folder / "run.json") or {})["tracker"])

    def status(self, state: str, **facts: Any) -> None:
        """Say where the run stands: running, finished, failed or interrupted."""
        before = read_json(self.folder / "status.json") or {}
        starts = int(before.get("starts", 0)) + (state == "running")
        facts = {"state": state, "time": _now(), "starts": starts, **facts}
        write_json(self.folder / "status.json", facts)

    def finish(self, result: dict[str, Any]) -> None:
        """Store the result; from here on the run is finished."""
        write_json(self.folder / "result.json", result)
        self.status("finished")


@contextlib.contextmanager
def open_run(run: Run, config: DictConfig) -> Iterator[Run]:
    """Claim a run folder for a block of work, and record how the block ended.

    With `force` an older folder is moved aside first.

    Raises:
        UserError: The folder cannot be written, or somebody else is at work in it.
    """
    if config.force and run.folder.exists():
        move_aside(run.folder)
    make_writable(run.folder)
    with Claim(run.folder), _logged_to(run.folder / "run.log"):
        resumed = (run.folder / "status.json").exists()
        log.info("%s %s", "resuming" if resumed else "new run", run.folder)
        run.status("running", resumed=resumed)
        try:
            run.start(config)
            yield run
        except BaseException as error:
            with undisturbed():
                if is_interrupt(error):
                    run.status("interrupted")
                else:
                    run.status("failed", error=f"{type(error).__name__}: {error}")
            raise


def _starts_before(earlier: dict[str, Any]) -> list[dict[str, Any]]:
    if not earlier:
        return []
    kept = ("started", "host", "commit", "slurm", "gpus")
    start = {key: earlier[key] for key in kept if key in earlier}
    return [*earlier.get("starts_before", []), start]


def make_writable(folder: Path) -> None:
    """Make an output folder and try to write there.

    Raises:
        UserError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); name another folder: "
            "paths.runs=FOLDER (forge and predict: output=FOLDER)"
        ) from error


@contextlib.contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Append our own messages to a file beside the terminal."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


def move_aside(folder: Path) -> None:
    """Give an older run another name, unless somebody is at work in it."""
    with Claim(folder):  # never from under somebody's feet
        aside = folder.with_name(f"{folder.name}.old-{time.strftime('%Y%m%d-%H%M%S')}")
        folder.rename(aside)
        (aside / "claim.json").unlink(missing_ok=True)
    log.info("force: moved the older run to %s", aside)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
