"""The report of a folder of runs, as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import gansfp
from gansfp.evaluation.leaderboard import BROKEN
from gansfp.report import charts
from gansfp.report.board import board
from gansfp.report.detail import run_details
from gansfp.report.exposed import PAIRS, exposed, patients
from gansfp.report.knows import Compared, compared, content_or_fingerprint, remarks
from gansfp.report.parts import Callout, Columns, Page, Part, Section
from gansfp.report.study import Study, studies
from gansfp.report.verdict import judged, lead, limits, verdict

if TYPE_CHECKING:
    import pandas as pd

QUESTION = "Do these synthetic images give away the patients they were made from?"
PICTURES = 120
"""Pairs of images in a page, over all studies: below 10 MB at 160 pixels a side."""

NOT_ASKED = Callout(
    "note",
    "Not asked yet.",
    "The same recipe with data.test_dir=BENCHMARK/test_B judges images of other generators of the "
    "same patients; gansfp forge makes them with benchmark.generators=2.",
)

ORDER = ("found", "hint", "invalid", "clear", "note")


def build(frame: pd.DataFrame, folder: Path) -> Page:
    """Make the report of a leaderboard.

    Args:
        frame: What `gansfp.evaluation.leaderboard.leaderboard` returned; not empty.
        folder: Where the runs are, for the foot of the page.
    """
    found = studies(frame)
    pairs = compared(found)
    answers = [(study, verdict(study, remarks(pairs))) for study in found]
    answers.sort(key=lambda pair: (pair[0].task != "membership", ORDER.index(pair[1].finding)))
    return Page(
        title=QUESTION,
        lead=lead(answers),
        verdicts=[callout for _, callout in answers],
        sections=[part for part in _sections([study for study, _ in answers], pairs) if part.parts],
        foot=_foot(frame, folder),
        aside=limits(),
    )


def _sections(found: Sequence[Study], sets: Sequence[Compared]) -> list[Section]:
    boards = [
        board(task, [study for study in found if study.task == task])
        for task in ("membership", "attribution")
        if any(study.task == task for study in found)
    ]
    members = [study for study in found if study.task == "membership"]
    knows = content_or_fingerprint(sets)
    asked: list[Part] = [] if knows is None else [knows]
    if knows is None and any(study.task == "attribution" for study in found):
        asked = [NOT_ASKED]
    pairs = max(1, min(PAIRS, PICTURES // max(len(members), 1)))
    return [
        Section("Leaderboard", boards, "leaderboard",
                "Every run, best first within a study. Headings sort, × hides a run everywhere, "
                "names lead to the details."),
        Section("Evidence, study by study", [_evidence(study) for study in found], "evidence",
                label="Evidence"),
        Section("The most exposed images", _exposed(members, pairs), "exposed",
                "What an attacker would bet on first, and the synthetic images behind the bet.",
                label="Exposed images"),
        Section("Content or fingerprint?", asked, "fingerprint",
                "Does a method that attributes images know the patients behind them, or the "
                "generator's hand?"),
        Section("Patient by patient", _patients(members), "patients", label="Patients"),
        Section("Every run", [run_details(entry) for study in found for entry in study.entries],
                "runs", "Numbers, charts, controls, settings, and how to make it again.",
                label="Runs"),
    ]  # fmt: skip


def _evidence(study: Study) -> Section:
    _, best = judged(study)
    entry = best or study.entries[0]
    shown = [
        charts.roc_figure([entry, *(one for one in study.entries if one is not entry)]),
        charts.score_figure(entry),
        charts.confusion(entry),
        charts.reliability_figure(entry),
    ]
    intro = f"Scores, decisions and probabilities of {entry.name}."
    columns = Columns([part for part in shown if part is not None])
    return Section(study.name, [columns] if columns.parts else [], study.anchor, intro, 3)


def _exposed(members: Sequence[Study], pairs: int) -> list[Part]:
    sections: list[Part] = []
    for study in members:
        _, best = judged(study)
        parts = exposed(study, best or study.entries[0], pairs)
        if parts:
            sections.append(Section(study.name, parts, f"exposed-{study.anchor}", level=3))
    return sections


def _patients(members: Sequence[Study]) -> list[Part]:
    sections: list[Part] = []
    for study in members:
        _, best = judged(study)
        table = patients(best or study.entries[0])
        if table is not None:
            sections.append(Section(study.name, [table], f"patients-{study.anchor}", level=3))
    return sections


def _foot(frame: pd.DataFrame, folder: Path) -> str:
    broken = int(frame.attrs.get(BROKEN, 0))
    skipped = f" {broken} broken results were skipped." if broken else ""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"gansfp {gansfp.__version__}, {now}. Runs below {folder.absolute()}.{skipped}"
