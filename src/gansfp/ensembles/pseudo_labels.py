"""Rounds of pseudo-labels: test images on which the members agree become labelled ones.

Round 0 is fitted on labelled images. Each further round takes the test images on which enough
members of the round before agree, and fits all members from the start (SDVAHCS/UCSD, runs 1782 and
1871). Where images were sequestered (`data.sequester`), a round after which the vote decides fewer
of them rightly is thrown away, and is the last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from gansfp.data.pseudo import write_pseudo_labels
from gansfp.ensembles.record import Record, Round
from gansfp.ensembles.voting import agreed

log = logging.getLogger(__name__)

FitRound = Callable[[int, Path | None], Round]
"""Runs the members of a round, given its number and its file of pseudo-labels."""


def run_rounds(fit_round: FitRound, rounds: int, agreement: float, folder: Path) -> Record:
    """Run all rounds.

    Args:
        fit_round: Fits the members of a round.
        rounds: Rounds after the first; 0 is a plain vote.
        agreement: Smallest share of the members that must agree on a test image.
        folder: Where each round's pseudo-labels are written: `NUMBER/pseudo_labels.csv`.
    """
    best = fit_round(0, None)
    best.measure_sequestered()
    record = Record([best])
    for number in range(1, rounds + 1):
        labels = agreed(best.tables("test"), agreement)
        if not len(labels):
            log.info("round %d: the members agree on no test image", number)
            break
        path = folder / str(number) / "pseudo_labels.csv"
        write_pseudo_labels(labels, path)
        following = fit_round(number, path)
        following.pseudo_labels, following.labelled = str(path), len(labels)
        following.measure_sequestered()
        following.kept = _no_worse(following, best)
        record.rounds.append(following)
        log.info("round %d: %s", number, _told(following, best))
        if not following.kept:
            break
        best = following
    return record


def _no_worse(following: Round, before: Round) -> bool:
    if following.sequestered is None or before.sequestered is None:
        return True
    return following.sequestered >= before.sequestered


def _told(following: Round, before: Round) -> str:
    text = f"{following.labelled} pseudo-labels"
    if following.sequestered is None or before.sequestered is None:
        return f"{text}, kept"
    change = f"sequestered accuracy {before.sequestered:.4f} -> {following.sequestered:.4f}"
    return f"{text}, {change}, {'kept' if following.kept else 'thrown away'}"
