"""An ensemble of runs as a benchmark method."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args

from gansfp.ensembles.launching import launch, refuse_script_ddp
from gansfp.ensembles.members import members_of
from gansfp.ensembles.pseudo_labels import run_rounds
from gansfp.ensembles.record import FILE, Combine, Record, Round, Voter
from gansfp.ensembles.stacking import stacked
from gansfp.ensembles.stages import present_stage
from gansfp.ensembles.voting import vote
from gansfp.errors import UserError
from gansfp.methods.base import Estimator
from gansfp.runtime.files import read_json
from gansfp.runtime.run import Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from omegaconf import DictConfig

    from gansfp.data.datamodule import BenchmarkDataModule

log = logging.getLogger(__name__)


class Ensemble(Estimator):
    """Members are runs of their own; each casts one vote an image (SDVAHCS/UCSD, runs 1426, 1782).

    Missing members are run first, finished ones never again. With `rounds`, test images on which
    the members agree become labelled ones, and all members are fitted afresh
    (`gansfp.ensembles.pseudo_labels`).

    Attributes:
        record: What was done; empty before `gather`.
        transductive: A member learnt from, or decided by, other test images.
    """

    def __init__(
        self,
        members: Sequence[str] = (),
        backbones: Sequence[str] | None = None,
        grid: Mapping[str, Sequence[Any]] | None = None,
        replicas: int = 1,
        drop_worst: int = 0,
        bar: float | None = None,
        rounds: int = 0,
        agreement: float = 0.9,
        overrides: str | None = None,
        runs: str | Sequence[str] | None = None,
        recipes: str | None = None,
        combine: Combine = "vote",
    ) -> None:
        """Name the members.

        Args:
            members: What follows `gansfp train` for each: `experiment=NAME key=value ...`.
            backbones: Each of them with each of these files of `conf/backbone`.
            grid: And with each choice of these values, by key.
            replicas: And with so many seeds; those of two ensembles' seeds never meet.
            drop_worst: So many, the worst on the held-out fold, do not vote.
            bar: Nor do those that are not above this, by the official metric on the held-out fold.
                Where none is, the best one decides alone.
            rounds: Rounds of pseudo-labels after the first.
            agreement: Smallest share of the members that gives a test image a pseudo-label.
            overrides: Further `key=value` words for every member, after those of the command line.
            runs: Folders below which every finished run is a member too.
            recipes: What the members' recipes compose to: see `pin_recipes`. Part of the hash of a
                run, and nothing else.
            combine: `vote`, or `stack`: pool the members' probabilities, weighed on the held-out
                fold (`gansfp.ensembles.stacking`); attribution only.

        Raises:
            UserError: Nothing can be a member, or a number is impossible.
        """
        if not members and not runs:
            raise UserError("method.members is empty: name recipes, or finished runs (method.runs)")
        if replicas < 1 or drop_worst < 0:
            raise UserError(f"method.replicas={replicas}, drop_worst={drop_worst}: too few")
        if rounds < 0 or not 0 < agreement <= 1:
            raise UserError(
                f"method.rounds={rounds}, agreement={agreement}: give rounds from 0, and a share"
            )
        if combine not in get_args(Combine):
            raise UserError(f"method.combine={combine}: choose {' or '.join(get_args(Combine))}")
        self._drop_worst, self._bar = drop_worst, bar
        self._rounds, self._agreement = rounds, agreement
        self._runs = [runs] if isinstance(runs, str) else list(runs or ())
        self.record = Record(combine=combine)

    def gather(self, config: DictConfig, run: Run) -> None:
        """Run the missing members of all rounds; in a job that only counts votes, read them.

        Args:
            config: The ensemble's configuration.
            run: Its folder; pseudo-labels are written there.

        Raises:
            UserError: A member fails, or the Trainer cannot be theirs.
            NextRound: The members of the next round are jobs that start after this one.
        """
        refuse_script_ddp(config)
        folder = run.folder / "rounds"
        fit_round = partial(self._round, config)
        rounds = run_rounds(fit_round, self._rounds, self._agreement, folder).rounds
        self.record = Record(rounds, self.record.combine)
        voting = self.record.last.voting
        self.transductive = any(voter.transductive for voter in voting)

    def _round(self, config: DictConfig, number: int, pseudo_labels: Path | None) -> Round:
        """Run the members that are missing from a round, and choose those that vote."""
        stage = present_stage()
        if stage is not None:
            voters = [Voter.of(s.find(), s.words, s.plain) for s in stage.seats(number)]
        else:
            planned = members_of(config, pseudo_labels) if config.method.members else []
            launch(planned)
            voters = [Voter.of(member.run, member.words, member.plain) for member in planned]
        voters += [Voter.of(run) for run in self._finished(str(config.task), voters)]
        found = Round(number, voters)
        if not found.choose(self._drop_worst, self._bar):
            (best,) = found.voting
            log.warning(
                "no member is above method.bar=%s: the best one (%.3f) decides alone",
                self._bar, best.validation,
            )  # fmt: skip
        return found

    def _finished(self, task: str, voters: Sequence[Voter]) -> list[Run]:
        """Find the runs of `method.runs`, without ensembles."""
        known = {Path(voter.run).resolve() for voter in voters}
        found = []
        for folder in self._runs:
            paths = sorted(Path(folder).expanduser().rglob("result.json"))
            if not paths:
                raise UserError(f"method.runs={folder}: no finished run below it")
            for path in paths:
                ours = (read_json(path) or {}).get("task") == task
                single = not (path.parent / "model" / FILE).is_file()
                if ours and single and path.parent.resolve() not in known:
                    found.append(Run(path.parent))
        return found

    def fit(self, data: BenchmarkDataModule) -> Self:
        """Say who votes; the members are fitted already.

        Raises:
            RuntimeError: Before `gather`.
        """
        if not self.record.rounds:
            raise RuntimeError("fit before gather")
        last = self.record.last
        log.info("%d of %d members vote", len(last.voting), len(last.voters))
        return self

    def predict(self, data: BenchmarkDataModule, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Count the votes in the members' tables, or pool them; see `Estimator`.

        Raises:
            UserError: The members did not predict these images.
        """
        return self.combined([v.predicted() for v in self.record.last.voting], data, rows)

    def combined(
        self,
        predictions: Sequence[pd.DataFrame],
        data: BenchmarkDataModule,
        rows: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Count the votes of tables of the voting members, or pool them.

        Args:
            predictions: A prediction table for each of `record.last.voting`, in that order.
            data: The benchmark.
            rows: Images, shape (n,).

        Raises:
            UserError: A table lacks some of the images.
        """
        wanted = data.benchmark.index.frame["sample_id"].iloc[rows]
        tables = []
        for voter, table in zip(self.record.last.voting, predictions, strict=True):
            known = table.set_index("sample_id")
            if not wanted.isin(known.index).all():
                raise UserError(
                    f"{voter.run}: this member did not predict all of these images; an ensemble "
                    "reads the tables that are there, of the images of its own data.root"
                )
            tables.append(known.loc[wanted].reset_index())
        if self.record.combine == "vote":
            return vote(tables)
        labelled = [voter.table("validation") for voter in self.record.last.voting]
        return stacked(tables, labelled)

    def save(self, folder: Path) -> None:
        """Write the record."""
        self.record.write(folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the record."""
        record = Record.read(folder / FILE)
        method = cls(runs=[voter.run for voter in record.last.voting])
        method.record = record
        method.transductive = any(voter.transductive for voter in record.last.voting)
        return method
