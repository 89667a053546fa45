"""The leaderboards of a page."""

from __future__ import annotations

from collections.abc import Sequence

from gansfp.evaluation.leaderboard import TITLES
from gansfp.evaluation.result import OFFICIAL
from gansfp.report.study import Entry, Study
from gansfp.report.tables import Cell, Column, Row, Table, cell, interval_cell
from gansfp.report.verdict import p_text

HELP = {
    "kappa": "Cohen's kappa of the decisions: 0 is guessing, 1 is perfect. The contest's metric.",
    "accuracy": "Share of images whose subset is named right. The contest's metric.",
    "auroc": "Area under the ROC curve: how often the used image of a pair scores higher.",
    "tpr_at_1fpr": "Used images that are recognised, when 1 % of the others are accused falsely.",
    "tpr_at_10fpr": "Used images that are recognised, when 10 % of the others are accused falsely.",
    "f1": "Harmonic mean of precision and recall, weighted by class.",
    "specificity": "Share of images of other classes that are told as such.",
}
WITH_INTERVAL = {"membership": ("auroc",), "attribution": ()}
PLAIN = {"membership": ("tpr_at_1fpr", "tpr_at_10fpr"), "attribution": ("f1", "specificity")}
SCALES = {"kappa": (-0.4, 1.0), "accuracy": (0.0, 1.0), "auroc": (0.3, 1.0)}


def board(task: str, studies: Sequence[Study]) -> Table:
    """Lay out all entries of a task, study by study.

    Transductive results, which look at other test images, have a column of their own.
    """
    entries = [entry for study in studies for entry in study.entries]
    official = OFFICIAL[task]
    kinds = {bool(entry.row["transductive"]) for entry in entries}
    results = [
        Column(
            TITLES[official] if not transductive else f"{TITLES[official]}, transductive",
            True,
            HELP[official]
            + (" Of methods that look at all test images together." if transductive else ""),
        )
        for transductive in (False, True)
        if transductive in kinds
    ]
    others = [*WITH_INTERVAL[task], *PLAIN[task]]
    has_paper = any(entry.number("published") is not None for entry in entries)
    columns = [
        Column("Experiment"),
        *results,
        *(Column(TITLES[name], True, HELP[name]) for name in others),
        Column(
            "p",
            True,
            "Chance of such a result by guessing; in small type corrected for all "
            "runs of the study.",
        ),
        Column(
            "Controls",
            False,
            "Experiments that must come out at chance if the result is to be believed.",
        ),
        *(
            [Column("Paper", True, f"{TITLES[official]} of the published run.")]
            if has_paper
            else []
        ),
    ]
    rows = [
        Row(_cells(entry, task, kinds, has_paper), entry.key, study.name)
        for study in studies
        for entry in study.entries
    ]
    question = {
        "membership": "Membership: which real images was the generator trained on?",
        "attribution": "Attribution: which training subset is behind an image?",
    }[task]
    return Table(question, columns, rows, filterable=True, hideable=True, note=_note(entries))


def _note(entries: Sequence[Entry]) -> str:
    notes = [
        "Below a number: its 95 % interval, over several seeds its range. Drawn: the interval; "
        "grey is where 95 of 100 guesses lie."
    ]
    if any(entry.row["set"] == "validation" for entry in entries):
        notes.append("*: no truth of the test images, measured on held-out labelled images.")
    if any(entry.is_invalid for entry in entries):
        notes.append(
            "INVALID: a control is not at chance; do not believe the result before you know why."
        )
    return " ".join(notes)


def _cells(entry: Entry, task: str, kinds: set[bool], has_paper: bool) -> list[Cell]:
    official = OFFICIAL[task]
    cells = [_name(entry)]
    for transductive in (False, True):
        if transductive in kinds:
            mine = bool(entry.row["transductive"]) == transductive
            cells.append(_measured(entry, official, entry.chance) if mine else Cell(""))
    cells += [_measured(entry, name, 0.5) for name in WITH_INTERVAL[task]]
    cells += [_measured(entry, name, None) for name in PLAIN[task]]
    cells += [_p(entry), controls_cell(entry)]
    if has_paper:
        run = f"run {entry.row['published_run']}" if entry.row["published_run"] else ""
        cells.append(cell(entry.number("published"), ".3f", note=run))
    return cells


def _name(entry: Entry) -> Cell:
    star = " *" if entry.row["set"] == "validation" else ""
    notes = [entry.row["changes"]] if entry.row["changes"] else []
    if int(entry.row["seeds"]) > 1:
        notes.append(f"{int(entry.row['seeds'])} seeds")
    if entry.is_invalid:
        notes.append(str(entry.row["invalid_reason"]))
    return Cell(f"{entry.row['experiment']}{star}", note=" · ".join(notes), link=entry.key)


def _measured(entry: Entry, metric: str, chance: float | None) -> Cell:
    value, low, high = (entry.number(f"{metric}{end}") for end in ("", "_low", "_high"))
    scale = SCALES.get(metric)
    if scale is None:
        note = "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
        return cell(value, ".3f", note=note)
    return interval_cell(value, low, high, scale, chance, entry.band.get(metric))


def _p(entry: Entry) -> Cell:
    single = entry.number("p")
    if single is None:
        return Cell("")
    corrected = f"corr. {p_text(entry.p)}" if entry.tests > 1 and entry.p is not None else ""
    return Cell(p_text(single), sort=single, note=corrected)


def controls_cell(entry: Entry) -> Cell:
    """Say whether the controls were at chance, in a word with a symbol."""
    if entry.row["valid"] is None:
        return Cell("not run")
    if entry.is_invalid:
        return Cell("INVALID", finding="invalid")
    return Cell("valid", finding="clear")
