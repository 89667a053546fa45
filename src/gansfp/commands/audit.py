"""`gansfp audit`: which patients does a synthetic set give away, with error rates."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich.console import Console

from gansfp import build
from gansfp.audit.auditing import Audited, Options, audit
from gansfp.audit.page import build_page
from gansfp.audit.sets import NONMEMBERS, REAL, SYNTHETIC, AuditSets, read_marked, read_sets
from gansfp.audit.summary import summarise
from gansfp.data.writing import write_csv
from gansfp.runtime import settings
from gansfp.runtime.files import read_json, write_json
from gansfp.runtime.progress import write_progress
from gansfp.runtime.provenance import command_line
from gansfp.runtime.run import Run, config_hash, open_run
from gansfp.tables import write_table

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

RESULT, PAGE, TABLE, KEPT = "audit.json", "audit.html", "scores.parquet", "kept.csv"


def run(config: DictConfig) -> None:
    """Audit a synthetic set, or show the finished audit of the same images and options.

    Args:
        config: `conf/audit.yaml`, composed and checked.

    Raises:
        UserError: Images cannot be read or compared, or an option does not fit.
    """
    settings.prepare()
    build.trust(config.trust)
    build.check_targets({key: config[key] for key in ("attack", "source", "synthetic_source")})
    options = Options(
        config.q, config.patients, config.filter, config.plan, config.permutations, config.seed
    )
    attack = build.instantiate(config.attack)
    places = {key: config[key] for key in (REAL, SYNTHETIC, NONMEMBERS)}
    log.info("reading images")
    sets = read_sets(places, config.groups, config.source, config.synthetic_source)
    marked = None if config.canaries is None else read_marked(config.canaries, sets)
    folder = _folder(config, sets, marked)
    finished = read_json(folder.folder / RESULT)
    if finished is not None and not config.force:
        log.info("finished before, skipped: %s", folder.folder)
        _show(folder.folder, finished)
        return
    with open_run(folder, config):
        done = audit(sets, attack, options, marked, _Progress(folder.folder, config))
        _write(folder.folder, config, sets, done)
        folder.status("finished")
    _show(folder.folder, done.facts)


class _Progress:
    """Logs what comes next, and stores how far the audit is for `gansfp status`."""

    def __init__(self, folder: Path, config: DictConfig) -> None:
        self._folder = folder
        self._step = 0
        self._total = 3 if config.nonmembers is None else 7 + config.filter + config.plan

    def __call__(self, text: str) -> None:
        log.info("%s", text)
        write_progress(self._folder, self._step, self._total, 0.0)
        self._step += 1


def _folder(config: DictConfig, sets: AuditSets, marked: Any) -> Run:
    """Name the run folder by configuration and images: other images are another audit."""
    digest = hashlib.sha256(config_hash(config).encode())
    for images in (sets.real, sets.synthetic, sets.nonmembers):
        digest.update(b"\n" + (b"" if images is None else images.fingerprint.encode()))
    digest.update(b"" if marked is None else np.packbits(marked).tobytes())
    name = f"audit-s{config.seed}-{digest.hexdigest()[:8]}"
    return Run(Path(config.paths.runs) / str(config.study) / name)


def _write(folder: Path, config: DictConfig, sets: AuditSets, done: Audited) -> None:
    """Write the tables first and `audit.json` last: once it is there, the audit is finished."""
    done.facts["asked"] = {
        **{key: config[key] for key in (REAL, SYNTHETIC, NONMEMBERS, "groups", "canaries")},
        "attack": {"statistic": config.attack.statistic, "views": list(config.attack.views)},
        "seed": config.seed,
    }
    done.facts["summary"] = summarise(done.facts)
    if done.image_score is not None:
        write_table(_scores(sets, done), folder / TABLE)
    if done.kept is not None:
        kept = [(sets.synthetic.names[row],) for row in np.flatnonzero(done.kept)]
        write_csv(folder / KEPT, ("file",), kept)
    shown = sets if config.pictures else None
    page = build_page(done.facts, done.image_score, sets.labels, shown, command_line())
    page.write(folder / PAGE)
    write_json(folder / RESULT, done.facts)


def _scores(sets: AuditSets, done: Audited) -> pd.DataFrame:
    """One row an image of `real` and `nonmembers`."""
    assert sets.nonmembers is not None
    names = [*sets.real.names, *sets.nonmembers.names]
    blank = np.full(len(sets.nonmembers), np.nan)
    return pd.DataFrame(
        {
            "set": np.where(sets.labels == 1, REAL, NONMEMBERS),
            "file": names,
            "group": sets.groups,
            "score": done.image_score,
            "p": np.concatenate([done.p, blank]),
            "exposed": np.concatenate([done.called, np.zeros(len(blank))]).astype(bool),
        }
    )


def _show(folder: Path, facts: dict[str, Any]) -> None:
    console = Console(markup=False, highlight=False, emoji=False)
    console.print()
    for line in facts["summary"]:
        console.print(line, soft_wrap=False)
    console.print()
    for name in (RESULT, PAGE, KEPT):
        if (folder / name).is_file():
            console.print(str(folder / name), soft_wrap=True)
