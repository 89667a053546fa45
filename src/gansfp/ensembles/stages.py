"""An ensemble in stages: the members of a round are jobs, and then a job counts their votes.

A launcher writes all stages down at submission, so that no job composes anything. Votes between
rounds only write the pseudo-labels that the members of the next round wait for; the last vote is
`gansfp train` of the ensemble.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansfp.errors import UserError
from gansfp.runtime.claims import Claim, claim_stands
from gansfp.runtime.files import read_json, write_json
from gansfp.runtime.run import Run, make_writable

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

FILE = "stage.json"
POLL_SECONDS = 10.0
_present: ContextVar[Stage | None] = ContextVar("stage", default=None)


@dataclass(frozen=True)
class Seat:
    """The place of a member in a round.

    Attributes:
        words: What follows `gansfp train`.
        plain: It is a recipe as it is.
        run: Its folder; None until its pseudo-labels are written.
        job: What the launchers know its job by: an identity, and once the job is written its
            folder; None where it was finished before.
    """

    words: tuple[str, ...]
    plain: bool
    run: str | None
    job: str | None

    def find(self) -> Run:
        """Name its run folder, now that all that it depends on is there."""
        if self.run is not None:
            return Run(Path(self.run))
        from omegaconf import OmegaConf

        stored: Any = OmegaConf.load(Path(str(self.job)) / "config.yaml")
        return Run.of(stored.task)

    def why(self) -> str:
        """Say why it has no result, as far as its job has said."""
        from gansfp.cluster.frozen import Job
        from gansfp.cluster.tail import with_tail

        job = Job.read(Path(self.job)) if self.job else None
        if job is None:
            return f"{self.find().folder}: no result"
        said = job.state.get("error") or with_tail("died without a word", job)
        return f"{job.name}: {said}"


@dataclass(frozen=True)
class Stage:
    """The votes after a round.

    Attributes:
        round: Number of the round.
        rounds: The members of each.
    """

    round: int
    rounds: list[list[Seat]] = field(repr=False)

    @property
    def last(self) -> bool:
        """No round comes after this one."""
        return self.round == len(self.rounds) - 1

    def write(self, folder: Path) -> None:
        """Store it in the folder of a job."""
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Stage | None:
        """Read what a job is to do of an ensemble; None: it runs a whole command."""
        stored = read_json(folder / FILE)
        if not isinstance(stored, dict):
            return None
        rounds = [
            [Seat(**{**seat, "words": tuple(seat["words"])}) for seat in seats]
            for seats in stored["rounds"]
        ]
        return cls(stored["round"], rounds)

    def seats(self, number: int) -> list[Seat]:
        """Give the members of a round, all of which have a result.

        Raises:
            NextRound: They are fitted after this stage.
            UserError: A member has failed.
        """
        if number > self.round:
            raise NextRound
        _require(self.rounds[number])
        return self.rounds[number]


class NextRound(Exception):
    """What comes next needs members that are not fitted yet."""


def present_stage() -> Stage | None:
    """Give the stage that this job is; None outside of such a job."""
    return _present.get()


def run_stage(config: DictConfig, stage: Stage) -> float | None:
    """Count the votes after a round.

    Args:
        config: The ensemble's configuration.
        stage: Which round.

    Returns:
        What `gansfp.commands.train.run` gives; None where a further round comes first.

    Raises:
        UserError: Members have failed.
    """
    from gansfp.commands import train

    with _as_present(stage):
        if not stage.last and _another_round(config):
            return None
        return train.run(config)


def _another_round(config: DictConfig) -> bool:
    """Write the pseudo-labels of the next round; False: there is none."""
    from gansfp import build

    run = Run.of(config)
    if run.result is not None:
        return False
    build.trust(config.trust)
    make_writable(run.folder)
    with Claim(run.folder):
        try:
            build.instantiate(config.method).gather(config, run)
        except NextRound:
            return True
        except UserError as error:
            run.status("failed", error=str(error))
            raise
    return False


@contextmanager
def _as_present(stage: Stage) -> Iterator[None]:
    token = _present.set(stage)
    try:
        yield
    finally:
        _present.reset(token)


def _require(seats: Sequence[Seat]) -> None:
    """See that all members of a round have a result; wait for those that are run elsewhere.

    Raises:
        UserError: Says which have none, and why.
    """
    missing = [seat for seat in seats if seat.find().result is None]
    while any(claim_stands(seat.find().folder) for seat in missing):
        log.info("waiting for %s, which is run elsewhere", missing[0].find().folder)
        time.sleep(POLL_SECONDS)
        missing = [seat for seat in missing if seat.find().result is None]
    if missing:
        said = "\n".join(seat.why() for seat in missing)
        raise UserError(f"members failed; the same command goes on with them\n{said}")
