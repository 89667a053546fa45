"""Content or fingerprint: the same method on images of its own and of other generators."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from gansfp.evaluation.evidence import read_evidence
from gansfp.evaluation.fingerprint import TwoSets, compare_sets
from gansfp.report.study import Entry, Study
from gansfp.report.tables import Cell, Column, Row, Table, cell, interval_cell
from gansfp.runtime.run import OUTSIDE_THE_HASH, Run

OWN = "test"
WORDS = {
    "patients": "the patients",
    "generator": "the generator",
    "both": "patients and generator",
    "neither": "nothing found",
}


@dataclass(frozen=True)
class Compared:
    """A method on two test sets.

    Attributes:
        name: The method.
        own_key: Id of the entry on images of the generators that it learnt from.
        other_key: Id of the entry on images of others.
        note: Numbers of images.
        sets: The comparison.
    """

    name: str
    own_key: str
    other_key: str
    note: str
    sets: TwoSets


def compared(studies: Sequence[Study]) -> list[Compared]:
    """Find the runs that differ only in the test images, and compare each with that on `test/`."""
    found = []
    for runs in _pairs(studies):
        own = runs.get(OWN)
        for name, other in sorted(runs.items()):
            if own is not None and name != OWN:
                found.append(_compared(own, other, name))
    return found


def remarks(pairs: Sequence[Compared]) -> dict[str, str]:
    """Word what each entry knows, by its id."""
    said = {}
    for pair in pairs:
        sets = pair.sets
        so = f" So it knows {WORDS[sets.knows]}." if sets.knows != "neither" else ""
        said[pair.own_key] = (
            f" Of images of other generators, trained on the same patients, it names "
            f"{100 * sets.other.value:.0f} in 100.{so}"
        )
        said[pair.other_key] = (
            " These images come from generators that it never saw, trained on the same patients; "
            f"of its own generators' images it names {100 * sets.own.value:.0f} in 100.{so}"
        )
    return said


def content_or_fingerprint(pairs: Sequence[Compared]) -> Table | None:
    """Lay the comparisons out; None where there is none."""
    if not pairs:
        return None
    columns = (
        Column("Method"),
        Column("Own generators", True, "Accuracy on images of the generators that it learnt from."),
        Column(
            "Other generators",
            True,
            "Accuracy on images of generators that it never saw, trained on the same patients.",
        ),
        Column("Loss", True, "Own less other, with its 95 % interval (Newcombe)."),
        Column("It knows"),
    )
    return Table(
        "The same method on images of generators that it learnt from, and of others",
        columns,
        [_row(pair) for pair in pairs],
        note="A method that knows the patients is as good on images of other generators of the "
        "same patients. One that knows the generator's hand is at chance there (the dashed line)."
        " Intervals of 95 %; nothing corrects for the number of rows.",
    )


_Right = tuple[str, str, int, int, int]
"""Method, id of its entry, right decisions, images, classes."""


def _pairs(studies: Sequence[Study]) -> list[dict[str, _Right]]:
    """Join runs by all of their configuration but the test images: results by name of the set."""
    joined: dict[str, dict[str, _Right]] = {}
    for study in studies:
        for entry in study.entries:
            for folder in entry.folders if study.task == "attribution" else []:
                found = _counted(entry, folder)
                if found is not None:
                    key, name, right = found
                    joined.setdefault(key, {})[name] = right
    return list(joined.values())


def _counted(entry: Entry, folder: Path) -> tuple[str, str, _Right] | None:
    evidence = read_evidence(folder)
    if evidence is None or evidence.truth is None:
        return None
    try:
        config: Any = OmegaConf.to_container(Run(folder).config, resolve=True)
    except Exception:  # a configuration that cannot be read has no partner
        return None
    data = dict(config.get("data") or {})
    test_dir = data.pop("test_dir", None)
    data.pop("cache_dir", None)
    outside = {*OUTSIDE_THE_HASH, "truth", "evaluator"}
    kept = {key: value for key, value in config.items() if key not in outside} | {"data": data}
    key = json.dumps(kept, sort_keys=True, default=str)
    right = int(np.sum(evidence.test["decision"].to_numpy() == evidence.truth))
    seed = f" (seed {config.get('seed')})" if len(entry.folders) > 1 else ""
    name = Path(str(test_dir)).name if test_dir else OWN
    changes = " ".join(w for w in entry.row["changes"].split() if not w.startswith("data.test_dir"))
    title = f"{entry.row['experiment']} {changes}".strip() + seed
    return key, name, (title, entry.key, right, len(evidence.test), len(evidence.classes))


def _compared(own: _Right, other: _Right, name: str) -> Compared:
    note = f"{own[3]} images, and {other[3]} of {name}"
    return Compared(own[0], own[1], other[1], note, compare_sets(own[2:4], other[2:4], 1 / own[4]))


def _row(pair: Compared) -> Row:
    sets, scale, loss_scale = pair.sets, (0.0, 1.0), (-0.5, 0.5)
    cells = (
        Cell(pair.name, note=pair.note, link=pair.own_key),
        interval_cell(*sets.own, scale, sets.chance),
        interval_cell(*sets.other, scale, sets.chance),
        interval_cell(*sets.loss, loss_scale, 0.0),
        cell(WORDS[sets.knows]),
    )
    return Row(cells, pair.own_key)
