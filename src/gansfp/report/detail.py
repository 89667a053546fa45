"""What a page says of a single run: numbers, charts, controls, settings, how to make it again."""

from __future__ import annotations

import shlex
from typing import Any

from gansfp.evaluation.leaderboard import TITLES
from gansfp.report import charts
from gansfp.report.parts import Code, Columns, Details, Facts, Part, Prose
from gansfp.report.study import Entry
from gansfp.report.tables import Cell, Column, Row, Table, cell, interval_cell

CONTROLS = {
    "blind": "blind",
    "members": "members against members",
    "non_members": "others against others",
    "file_order": "file order",
}


def run_details(entry: Entry) -> Details:
    """Fold everything about a row of the leaderboard, charts of its first seed."""
    parts: list[Part] = [Facts(_facts(entry))]
    note = entry.result.get("note")
    sign = entry.result.get("orientation")
    said = [*([str(note)] if note else []), *([f"Sign of the score: {sign}"] if sign else [])]
    if said:
        parts.append(Prose(said))
    drawn = [
        charts.roc_figure([entry], "ROC curve"),
        charts.score_figure(entry),
        charts.confusion(entry),
        charts.reliability_figure(entry),
        *charts.curve_figures(entry.folders[0]),
    ]
    parts.append(Columns([part for part in drawn if part is not None]))
    tables = [_metrics(entry), _controls(entry), *_strata(entry)]
    parts += [table for table in tables if table is not None]
    parts += _reproduction(entry)
    study, seeds = entry.row["study"], int(entry.row["seeds"])
    return Details(
        entry.name, parts, entry.key, entry.key, f"{study}{f', {seeds} seeds' if seeds > 1 else ''}"
    )


def _facts(entry: Entry) -> list[tuple[str, str]]:
    facts, result = entry.facts, entry.result
    decision = charts.verdict_file(entry.folders[0])
    pairs: list[tuple[str, Any]] = [
        ("study", entry.row["study"]),
        ("seeds", ", ".join(str(_seed(folder)) for folder in entry.folders)),
        ("unit of intervals and tests", result.get("unit")),
        ("decision rule", decision.get("rule")),
        ("threshold", _short(result.get("threshold"))),
        ("sees other test images", "yes" if entry.row["transductive"] else "no"),
        ("started", facts.get("started")),
        ("gansfp", facts.get("gansfp")),
        ("machine", facts.get("processor") or facts.get("platform")),
    ]
    return [(name, str(value)) for name, value in pairs if value not in (None, "")]


def _seed(folder: Any) -> Any:
    from gansfp.runtime.files import read_json

    return (read_json(folder / "run.json") or {}).get("seed", "?")


def _short(value: Any) -> str | None:
    return None if value is None else f"{float(value):.4g}"


def _metrics(entry: Entry) -> Table | None:
    """List every metric of the first seed: test images, patients, labelled images."""
    sets = [("test", "Test images"), ("patients", "Test patients"),
            ("validation", "Labelled images")]  # fmt: skip
    measured = [
        (title, entry.result[name])
        for name, title in sets
        if isinstance(entry.result.get(name), dict)
    ]
    if not measured:
        return None
    names = list(measured[0][1]["metrics"])
    columns = [Column("Metric"), *(Column(f"{title}, {one['n']}", True) for title, one in measured)]
    rows = [
        Row([
            Cell(TITLES.get(name, name.replace("_", " "))),
            *(_metric(one["metrics"].get(name)) for _, one in measured),
        ])
        for name in names
    ]  # fmt: skip
    note = "The threshold was picked on the labelled images: their kappa is optimistic."
    several = len(entry.folders) > 1
    return Table(
        f"All metrics{' of the first seed' if several else ''}, with 95 % intervals", columns, rows,
        note=note if any(title == "Labelled images" for title, _ in measured) else "",
    )  # fmt: skip


def _metric(measured: Any) -> Cell:
    if not measured or measured[0] is None:
        return Cell("")
    value, low, high = (*measured, None, None)[:3]
    note = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return cell(value, ".3f", note=note)


def _controls(entry: Entry) -> Table | None:
    controls: dict[str, Any] = entry.result.get("controls") or {}
    if not controls:
        return None
    rows = [
        Row([
            Cell(CONTROLS.get(name, name), note=one["what"]),
            interval_cell(one["value"], one["low"], one["high"], (0.0, 1.0), one["chance"]),
            cell(one["chance"], ".3f"),
            Cell("at chance", finding="clear")
            if one["passed"]
            else Cell("not at chance", finding="invalid"),
        ])
        for name, one in controls.items()
    ]  # fmt: skip
    columns = [Column("Control"), Column("Outcome", True), Column("Chance", True), Column("So")]
    return Table("Controls: what must come out at chance", columns, rows)


def _strata(entry: Entry) -> list[Table]:
    """One table for each thing that the test images of the first seed are ordered by."""
    columns = [Column(name, True) for name in ("From", "To", "Images", "Used", "AUROC")]
    note = "95 % intervals, one stratum each: the most extreme of several is so by chance."
    return [
        Table(
            f"In strata of {name}",
            columns,
            [
                Row([
                    cell(one["low"], ".3g"), cell(one["high"], ".3g"), Cell(str(one["n"])),
                    Cell(str(one["used"])), _area(one["auroc"]),
                ])
                for one in strata
            ],
            note=note,
        )
        for name, strata in (entry.result.get("strata") or {}).items()
        if strata
    ]  # fmt: skip


def _area(area: Any) -> Cell:
    return Cell("") if not area else interval_cell(area[0], area[1], area[2], (0.0, 1.0), 0.5)


def _reproduction(entry: Entry) -> list[Part]:
    folders = "\n".join(f"gansfp reproduce {shlex.quote(str(one))}" for one in entry.folders)
    parts: list[Part] = [Code(folders, "How to make it again: commit, packages and command")]
    command = entry.facts.get("command")
    if command:
        parts.append(Code(str(command), f"The command, in {entry.facts.get('folder', '')}"))
    settings = charts.settings(entry.folders[0])
    if settings:
        parts.append(Details("Settings", [Code(settings, "config.yaml, the whole configuration")]))
    return parts
