"""The runs below a folder as a report sees them: rows of the leaderboard, by study."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansfp.evaluation.evidence import Evidence, chance_band, read_evidence
from gansfp.evaluation.result import OFFICIAL
from gansfp.runtime.files import read_json
from gansfp.runtime.run import Run

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

LEVEL = 0.05
"""Below this a corrected p-value counts as found."""


@dataclass(frozen=True)
class Entry:
    """A row of the leaderboard: the seeds of one variant of an experiment.

    Attributes:
        row: What `gansfp.evaluation.leaderboard.leaderboard` says of it.
        key: Its id in the page.
        tests: Runs of its study that were tested against chance on test images.
    """

    row: dict[str, Any]
    key: str
    tests: int = 1

    @property
    def name(self) -> str:
        """The experiment, and what the command line changed in it."""
        return " ".join(part for part in (self.row["experiment"], self.row["changes"]) if part)

    @property
    def folders(self) -> list[Path]:
        """Run folders, a seed each."""
        return list(self.row["folders"])

    @cached_property
    def evidence(self) -> Evidence | None:
        """Tables and truth of the first seed."""
        return read_evidence(self.folders[0])

    @cached_property
    def band(self) -> dict[str, tuple[float, float]]:
        """Where each metric lies by chance, on the images of the first seed."""
        return {} if self.evidence is None else chance_band(self.evidence)

    @cached_property
    def result(self) -> dict[str, Any]:
        """`result.json` of the first seed."""
        return Run(self.folders[0]).result or {}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """`run.json` of the first seed."""
        return dict(read_json(self.folders[0] / "run.json") or {})

    @cached_property
    def config(self) -> DictConfig | None:
        """Configuration of the first seed; None where it cannot be read."""
        from gansfp.errors import UserError

        try:
            return Run(self.folders[0]).config
        except (UserError, OSError, ValueError):
            return None

    def number(self, name: str) -> float | None:
        """A value of the row; None where it is missing."""
        value = self.row.get(name)
        return None if value is None or math.isnan(value) else float(value)

    @property
    def official(self) -> float | None:
        """Kappa or accuracy."""
        return self.number(OFFICIAL[self.row["task"]])

    @property
    def is_invalid(self) -> bool:
        """A control failed."""
        return self.row["valid"] is False

    @property
    def on_test(self) -> bool:
        """Measured on test images."""
        return bool(self.row["set"] == "test" and self.official is not None)

    @property
    def chance(self) -> float:
        """Official metric of guessing."""
        if self.row["task"] == "membership":
            return 0.0
        classes = self.evidence.classes if self.evidence is not None else ()
        return 1 / len(classes) if classes else 0.0

    @property
    def p(self) -> float | None:
        """p-value against chance, corrected for all runs of the study.

        By max-T where the leaderboard could, else by Bonferroni.
        """
        corrected, single = self.number("p_corrected"), self.number("p")
        if corrected is not None or single is None:
            return corrected
        return min(1.0, single * self.tests)

    @property
    def is_found(self) -> bool:
        """Better than chance after correction."""
        return bool(
            self.on_test
            and self.p is not None
            and self.p <= LEVEL
            and (self.official or 0.0) > self.chance
        )


@dataclass(frozen=True)
class Study:
    """The entries of one study and task, best first.

    Attributes:
        name: Its name.
        task: "membership" or "attribution".
        entries: In the order of the leaderboard.
        number: Its place among the studies, from 1.
    """

    name: str
    task: str
    entries: Sequence[Entry]
    number: int

    @property
    def anchor(self) -> str:
        """Its id in the page."""
        return f"study-{self.number}"


def studies(frame: pd.DataFrame) -> list[Study]:
    """Sort the rows of a leaderboard into studies: membership first, then by name."""
    rows: list[dict[str, Any]] = [] if frame.empty else frame.to_dict("records")  # type: ignore[assignment]
    sets: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        sets.setdefault((row["task"], row["study"]), []).append(_tidy(row))
    found = []
    names = sorted(sets, key=lambda pair: (pair[0] != "membership", pair[1]))
    for number, (task, name) in enumerate(names, start=1):
        members = sets[task, name]
        tests = sum(int(row["seeds"]) for row in members if row["set"] == "test")
        entries = [Entry(row, f"run-{number}-{k}", tests) for k, row in enumerate(members, start=1)]
        found.append(Study(name, task, entries, number))
    return found


def _tidy(row: dict[str, Any]) -> dict[str, Any]:
    """Turn the NaN that a frame makes of None back."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


def slug(text: str) -> str:
    """Turn a name into a part of a file name: letters, digits and dashes."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower() or "x"
