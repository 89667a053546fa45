"""Jobs that wait for others: the members of an ensemble, its votes, and the rounds between.

Every stage is submitted at once. A vote waits until its members are over, however they ended
(`afterany`), since it is the vote that says which have failed; a round waits for the vote before it
to have succeeded (`afterok`), since that one writes the pseudo-labels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gansfp.cluster.study import Planned, hydra_answers_for, planned
from gansfp.ensembles.members import is_ensemble, members_of
from gansfp.ensembles.stages import Seat, Stage

if TYPE_CHECKING:
    from gansfp.ensembles.members import Member

LABELS = "pseudo_labels.csv"


def in_stages(plans: Sequence[Planned]) -> list[Planned]:
    """Put before each ensemble the jobs that it waits for.

    Members that have a result are left out; one that several ensembles share, or that is asked for
    itself, is one job.

    Args:
        plans: Jobs without a result.

    Returns:
        All jobs, each after those that it waits for. An ensemble keeps its identity: it is the
        last vote.

    Raises:
        UserError: A member does not compose.
    """
    alone = {plan.identity: plan for plan in plans if not is_ensemble(plan.config)}
    chains = [_chain(plan, alone) for plan in plans if is_ensemble(plan.config)]
    first = {job.identity: job for chain in chains for job in chain if not job.waits}
    waiting = {job.identity: job for chain in chains for job in chain if job.waits}
    return list((first | alone | waiting).values())  # what was asked for itself: as it was asked


def _chain(plan: Planned, asked: Collection[str]) -> list[Planned]:
    """Write out an ensemble from the first round on that lacks anything.

    Args:
        plan: The ensemble.
        asked: Identities of jobs that run in any case, perhaps anew.
    """
    with hydra_answers_for(plan.config):
        rounds, begun = _rounds(plan)
        jobs: list[Planned] = []
        before: str | None = None
        for number in range(begun, len(rounds)):
            members = [
                planned(member.config, run=member.run.folder, words=member.words)
                for member in rounds[number]
                if member.run.result is None or str(member.run.folder) in asked
            ]
            if before is not None:
                members = [replace(one, follows=before, unless=plan.run) for one in members]
            last = number == len(rounds) - 1
            vote = replace(
                plan,
                identity=plan.identity if last else f"{plan.identity}, vote {number}",
                needs=tuple(member.identity for member in members),
                follows=before,
                stage=Stage(number, [_seats(one, k <= begun) for k, one in enumerate(rounds)]),
                of=plan.identity,
            )
            jobs += [*members, vote]
            before = vote.identity
    return jobs


def _rounds(plan: Planned) -> tuple[list[list[Member]], int]:
    """Compose the members of every round; tell which round is the first to lack something."""
    folder = (plan.run / "rounds").absolute()
    rounds, begun = [members_of(plan.config)], 0
    for number in range(1, int(plan.config.method.rounds) + 1):
        labels = folder / str(number) / LABELS
        if begun == number - 1 and not plan.config.force and _current(labels, rounds[-1]):
            begun = number
            rounds.append(members_of(plan.config, labels))
        else:
            rounds.append(members_of(plan.config, labels, nowhere=labels.parent))
    return rounds, begun


def _current(labels: Path, members: Sequence[Member]) -> bool:
    """Tell whether the pseudo-labels are those of members that have a result."""
    results = [member.run.folder / "result.json" for member in members]
    if not labels.is_file() or not all(result.is_file() for result in results):
        return False
    return all(result.stat().st_mtime <= labels.stat().st_mtime for result in results)


def _seats(members: Sequence[Member], known: bool) -> list[Seat]:
    return [
        Seat(member.words, member.plain, str(member.run.folder) if known else None,
             str(member.run.folder))
        for member in members
    ]  # fmt: skip


def with_jobs(stage: Stage, folders: Mapping[str, Path]) -> Stage:
    """Name the folders of the members' jobs, now that these are written."""
    rounds = [
        [replace(s, job=str(folders[s.job]) if s.job and s.job in folders else None) for s in seats]
        for seats in stage.rounds
    ]
    return replace(stage, rounds=rounds)


def attributed(failures: Mapping[str, Exception], jobs: Sequence[Planned]) -> dict[str, Exception]:
    """Let the first vote of an ensemble that failed speak for the ensemble."""
    found: dict[str, Exception] = {}
    for job in jobs:
        if job.identity in failures:
            found.setdefault(job.of or job.identity, failures[job.identity])
    return found
