"""Result tables of the ImageCLEFmedical GANs 2025 overview (Andrei et al., CLEF 2025), as data."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

TABLE2_MEMBERS = 250
TABLE2_NON_MEMBERS = 250


@dataclass(frozen=True)
class PublishedRun:
    """One row of a published table.

    Attributes:
        run: Run id.
        team: Team name.
        task: "membership" (table 2) or "attribution" (table 3).
        printed: Metrics as printed, rounded to four decimals.
        confusion: `tp fp fn tn` that the row implies on 250 used and 250 unused images (table 2);
            empty for table 3.
        alias_of: For a run that nobody described: the described, or first submitted, run of the
            same team that its recipe is taken from. None where there is a description or no clue.
    """

    run: str
    team: str
    task: Literal["membership", "attribution"]
    printed: dict[str, float]
    confusion: dict[str, int]
    alias_of: str | None

    @property
    def official(self) -> float:
        """Kappa of a membership run, accuracy of an attribution run, as printed."""
        return self.printed["kappa" if self.task == "membership" else "accuracy"]


@cache
def table2() -> tuple[PublishedRun, ...]:
    """Return the 33 rows of table 2 (membership), best kappa first."""
    return _read("table2.csv", "membership")


@cache
def table3() -> tuple[PublishedRun, ...]:
    """Return the 11 rows of table 3 (attribution)."""
    return _read("table3.csv", "attribution")


def published_run(run: str) -> PublishedRun | None:
    """Find a run by its id in either table; None where no table has it."""
    return next((row for row in (*table2(), *table3()) if row.run == str(run)), None)


def _read(name: str, task: Literal["membership", "attribution"]) -> tuple[PublishedRun, ...]:
    text = files("gansfp.evaluation").joinpath(name).read_text(encoding="utf-8")
    counts, texts = ("tp", "fp", "fn", "tn"), ("run", "team", "alias_of")
    return tuple(
        PublishedRun(
            run=row["run"],
            team=row["team"],
            task=task,
            printed={k: float(v) for k, v in row.items() if k not in (*counts, *texts)},
            confusion={k: int(row[k]) for k in counts if k in row},
            alias_of=row["alias_of"] or None,
        )
        for row in csv.DictReader(text.splitlines())
    )
