"""What an ensemble did: its members, its rounds, and which of them count."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from gansfp.ensembles.voting import accuracy, averaged, vote
from gansfp.errors import UserError
from gansfp.runtime.files import read_json
from gansfp.runtime.run import Run
from gansfp.tables import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

Combine = Literal["vote", "stack"]
FILE = "ensemble.json"
SPLITS = ("test", "validation", "sequestered")


@dataclass
class Voter:
    """A member as the record of an ensemble tells it.

    Attributes:
        run: Its folder.
        words: What made it; empty for a run that was there.
        plain: It is a recipe as it is, or was there: no run for the ensemble's sake alone.
        validation: Its official metric on the held-out fold; None where nothing is held out.
        kept: Whether it votes.
        folds: Folders of the same member with each of the other folds held out; its table of
            held-out images is that of all folds, of any other image the mean.
    """

    run: str
    words: str
    validation: float | None
    plain: bool = True
    kept: bool = True
    folds: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, run: Run, words: Sequence[str] = (), plain: bool = True) -> Voter:
        """Read what a finished run says of itself."""
        result = run.result or {}
        measured = result.get("validation")
        metric = measured["metrics"][result["official"]][0] if measured else None
        return cls(str(run.folder), " ".join(words), metric, plain)

    @classmethod
    def crossed(cls, folds: Sequence[Voter]) -> Voter:
        """Join the runs of one member that each held another fold out."""
        measured = [voter.validation for voter in folds]
        mean = None if None in measured else sum(m or 0.0 for m in measured) / len(measured)
        others = [voter.run for voter in folds[1:]]
        return cls(folds[0].run, folds[0].words, mean, plain=False, folds=others)

    @property
    def runs(self) -> list[Run]:
        """All its runs: one, or one a fold."""
        return [Run(Path(folder)) for folder in (self.run, *self.folds)]

    @property
    def transductive(self) -> bool:
        """Whether it learnt from, or decided by, other test images."""
        return any((run.result or {}).get("transductive") for run in self.runs)

    def has(self, split: str) -> bool:
        """Tell whether it predicted a split."""
        return all(run.predictions(split).is_file() for run in self.runs)

    def table(self, split: str) -> pd.DataFrame:
        """Read a prediction table: of several runs their mean, of held-out images each its own."""
        tables = [read_table(run.predictions(split)) for run in self.runs]
        if split == "validation":  # what fits nothing scores all labelled images in every fold
            return pd.concat(tables).drop_duplicates("sample_id").reset_index(drop=True)
        return averaged(tables)

    def predicted(self) -> pd.DataFrame:
        """Read the prediction of every image, of whatever split."""
        # A method that fits no label scores the sequestered images with the validation images too.
        tables = [self.table(split) for split in SPLITS if self.has(split)]
        return pd.concat(tables).drop_duplicates("sample_id")


@dataclass
class Round:
    """Members that were fitted on the same images.

    Attributes:
        number: 0: on labelled images alone.
        voters: The members.
        pseudo_labels: File of the test images that they were fitted on too.
        labelled: Number of these.
        sequestered: Accuracy of the vote on the sequestered images; None where there are none.
        kept: Whether the round counts.
    """

    number: int
    voters: list[Voter]
    pseudo_labels: str | None = None
    labelled: int = 0
    sequestered: float | None = None
    kept: bool = True

    @property
    def voting(self) -> list[Voter]:
        """The members whose votes count."""
        return [voter for voter in self.voters if voter.kept]

    def tables(self, split: str) -> list[pd.DataFrame]:
        """Read the tables of the members whose votes count."""
        return [voter.table(split) for voter in self.voting]

    def choose(self, drop_worst: int, bar: float | None) -> bool:
        """Leave members out of the vote, by their metric on the held-out fold.

        Args:
            drop_worst: So many of the worst, though never all; the later of two equals goes first.
            bar: Those that are not above it.

        Returns:
            False where none was above the bar, so that the best one decides alone.

        Raises:
            UserError: A member has no held-out fold.
        """
        ranked = self._ranked() if drop_worst or bar is not None else []
        for voter in ranked[: min(drop_worst, len(ranked) - 1)]:
            voter.kept = False
        if bar is None:
            return True
        for voter in ranked:
            voter.kept &= (voter.validation or 0.0) > bar
        if self.voting:
            return True
        ranked[-1].kept = True
        return False

    def _ranked(self) -> list[Voter]:
        measured = []
        for number, voter in enumerate(self.voters):
            if voter.validation is None:
                raise UserError(
                    f"{voter.run}: method.bar and method.drop_worst compare members on a held-out "
                    "fold, and this one has none (data.fold=0)"
                )
            measured.append((voter.validation, -number, voter))
        return [voter for *_, voter in sorted(measured, key=lambda item: item[:2])]

    def measure_sequestered(self) -> None:
        """Measure the vote on the sequestered images, where the members have some."""
        if all(voter.has("sequestered") for voter in self.voting):
            tables = self.tables("sequestered")
            self.sequestered = accuracy(vote(tables), tables[0])


@dataclass
class Record:
    """What an ensemble did: stored as `model/ensemble.json`.

    Attributes:
        rounds: In order; the last one kept gives the predictions.
        combine: How the members' tables become one.
    """

    rounds: list[Round] = field(default_factory=list)
    combine: Combine = "vote"

    @property
    def last(self) -> Round:
        """The round that gives the predictions."""
        return [found for found in self.rounds if found.kept][-1]

    def write(self, path: Path) -> None:
        """Store the record as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a stored record.

        Raises:
            UserError: There is none.
        """
        stored = read_json(path)
        if not isinstance(stored, dict):
            raise UserError(f"{path}: no record of an ensemble; has the run finished?")
        rounds = [
            {**one, "voters": [Voter(**v) for v in one["voters"]]} for one in stored["rounds"]
        ]
        return cls([Round(**one) for one in rounds], stored.get("combine", "vote"))
