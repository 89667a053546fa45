"""Leaderboards: the results of many run folders, joined over seeds and ranked."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from rich import box
from rich.markup import escape
from rich.table import Table

from gansfp.evaluation.family import corrected_p
from gansfp.evaluation.published import published_run
from gansfp.evaluation.result import OFFICIAL

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN = {
    "membership": ("kappa", "accuracy", "auroc", "tpr_at_1fpr", "tpr_at_10fpr"),
    "attribution": ("accuracy", "precision", "recall", "f1", "specificity"),
}
# What the terminal shows of them; the first with its interval.
IN_TERMINAL = {
    "membership": ("kappa", "auroc", "tpr_at_1fpr"),
    "attribution": ("accuracy", "f1", "specificity"),
}
TITLES = {
    "kappa": "kappa",
    "accuracy": "accuracy",
    "auroc": "AUROC",
    "tpr_at_1fpr": "TPR@1%",
    "tpr_at_10fpr": "TPR@10%",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "specificity": "specificity",
    "ppv_at_50": "PPV, 50 % used",
    "ppv_at_10": "PPV, 10 % used",
    "ppv_at_1": "PPV, 1 % used",
}
BROKEN = "broken"
ENSEMBLE_FILE = "ensemble.json"  # written by gansfp.ensembles.record
TRANSDUCTIVE = "transductive"
CORRECTED = "p max-T"


def leaderboard(folder: Path, members: bool = False) -> pd.DataFrame:
    """Read the runs below a folder and rank them, one row for seeds of one experiment and study.

    A run is a folder with `run.json` and `result.json`; runs moved aside (`*.old-*`) and runs that
    are not finished are passed over, unreadable ones counted in `frame.attrs["broken"]`.

    Args:
        folder: Where to look, at any depth.
        members: Also show the variants of recipes that only vote in an ensemble.

    Returns:
        Columns `task`, `study`, `experiment`, `variant` (hash of the configuration without its
        seed), `changes` (what the command line changed in the recipe), `seeds`, `folders` (of the
        runs, a seed each), `set` ("test", or "validation" where no truth was at hand), for each
        metric shown `<metric>`, `<metric>_low`, `<metric>_high` (one seed: its 95 % interval;
        several: mean, smallest, largest), `p` (largest over seeds), `p_corrected` (the same,
        corrected for the runs of the study on the same test images, see
        `gansfp.evaluation.family`; None where it can't be), `valid` (True, False or None),
        `invalid_reason`, `transductive`, `published_run`, `published`.
        Within each task results on test images come before those on validation images, inductive
        before transductive ones, then the best official metric first.
    """
    broken = 0
    found: list[dict[str, Any]] = []
    for place, run, result in _results(folder, set() if members else _voters(folder)):
        row = None if run is None or result is None else _row(run, result)
        if row is None:
            broken += 1
        else:
            found.append({**row, "folder": place})
    _correct(found)
    rows = _joined(found)
    rows.sort(key=_place)
    frame = pd.DataFrame([{k: v for k, v in row.items() if k != "_rank"} for row in rows])
    frame.attrs[BROKEN] = broken
    return frame


def _place(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["task"] != "membership", row["set"] != "test", row["transductive"], -row["_rank"]


def render(frame: pd.DataFrame, task: str = "membership") -> Table:
    """Lay one task's rows out for the terminal.

    Transductive results, which look at other unlabelled test images, have a column of their own.

    Args:
        frame: What `leaderboard` returned.
        task: "membership" or "attribution".
    """
    rows = _of_task(frame, task)
    columns = _columns(rows, task)
    table = Table(title=f"{task}, by {OFFICIAL[task]}", title_justify="left", box=box.SIMPLE_HEAD,
                  pad_edge=False, collapse_padding=True, caption_justify="left")  # fmt: skip
    table.add_column("experiment", overflow="fold", min_width=24)
    for name in columns:
        justify: Literal["left", "right"] = "left" if name == "controls" else "right"
        table.add_column(name, justify=justify, no_wrap=True)
    table.caption = _caption(rows, columns)
    several = len({row["study"] for row in rows}) > 1
    for study, members in groupby(rows, key=itemgetter("study")):
        if several:
            table.add_row(f"[bold]{escape(str(study))}[/bold]")
        for row in members:
            cells = _cells(row, task)
            table.add_row(_name(row), *(cells[name] for name in columns))
    return table


def _caption(rows: list[dict[str, Any]], columns: list[str]) -> str:
    notes = ["n: seeds. One seed: 95 % interval; several: mean, smallest, largest.",
             "p: against chance."]  # fmt: skip
    if CORRECTED in columns:
        notes.append(f"{CORRECTED}: corrected for all runs of the study on these images.")
    if TRANSDUCTIVE in columns:
        notes.append("transductive: the same metric, of methods that look at other test images.")
    if any(row["set"] == "validation" for row in rows):
        notes.append("*: no truth, held-out labelled images.")
    if "paper" in columns:
        notes.append("paper: the published run.")
    return " ".join(notes)


def _columns(rows: list[dict[str, Any]], task: str) -> list[str]:
    """Name the columns after the first; those that no row would fill are left out."""
    official, *others = (TITLES[name] for name in IN_TERMINAL[task])
    kinds = {bool(row["transductive"]) for row in rows}
    results = [name for kind, name in ((False, official), (True, TRANSDUCTIVE)) if kind in kinds]
    paper = ["paper"] if any(not _missing(row["published"]) for row in rows) else []
    corrected = [CORRECTED] if any(not _missing(row["p_corrected"]) for row in rows) else []
    return ["n", *results, "controls", *others, "p", *corrected, *paper]


def _of_task(frame: pd.DataFrame, task: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [] if frame.empty else frame.to_dict("records")  # type: ignore[assignment]
    chosen = [row for row in rows if row["task"] == task]
    return sorted(chosen, key=itemgetter("study"))  # stable: the ranking stays within a study


def _voters(folder: Path) -> set[str]:
    """Name the runs that are there for an ensemble's sake alone."""
    found: set[str] = set()
    for path in folder.rglob(f"model/{ENSEMBLE_FILE}"):
        rounds = (_json(path) or {}).get("rounds", [])
        voters = [voter for one in rounds for voter in one["voters"]]
        found |= {Path(voter["run"]).name for voter in voters if not voter["plain"]}
    return found


def _results(
    folder: Path, hidden: set[str]
) -> Iterator[tuple[Path, dict[str, Any] | None, dict[str, Any] | None]]:
    """Yield folder, run.json, result.json of every finished run; None for what cannot be read."""
    for path in sorted(folder.rglob("result.json")):
        if ".old-" not in path.parent.name and path.parent.name not in hidden:
            yield path.parent, _json(path.with_name("run.json")), _json(path)


def _correct(runs: list[dict[str, Any]]) -> None:
    """Add `p_corrected` to the runs with test results, study by study."""
    studies: dict[tuple[Any, str], list[dict[str, Any]]] = {}
    for run in runs:
        if run["set"] == "test" and run["p"] is not None:
            studies.setdefault((run["task"], run["study"]), []).append(run)
    for (task, _), members in studies.items():
        corrected = corrected_p([run["folder"] for run in members], task)
        for run in members:
            if run["folder"] in corrected:
                run["p_corrected"] = max(corrected[run["folder"]], run["p"])


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _row(run: dict[str, Any], result: dict[str, Any]) -> dict[str, Any] | None:
    """Pick what a leaderboard shows of one run; None where the files lack it."""
    try:
        task = str(run["task"])
        where = "test" if result["test"] is not None else "validation"
        measured = result[where] or {"metrics": {}, "chance": {}}
        return {
            "task": task,
            "study": str(run.get("study", "")),
            "experiment": str(run["experiment"]),
            "variant": str(run.get("variant", "")),
            "changes": " ".join(run.get("changes", ())),
            "set": where,
            "metrics": {name: measured["metrics"].get(name) for name in SHOWN[task]},
            "p": measured["chance"].get(OFFICIAL[task]),
            "valid": result["valid"],
            "invalid_reason": result["invalid_reason"],
            "transductive": bool(result["transductive"]),
            "published_run": run.get("published_run"),
        }
    except (KeyError, TypeError, AttributeError):
        return None


def _joined(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the seeds of one configuration; test and validation results never mix."""
    keys = (
        "task", "study", "experiment", "variant", "changes", "set", "transductive", "published_run"
    )  # fmt: skip
    together: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs:
        together.setdefault(tuple(run[key] for key in keys), []).append(run)
    return [
        _over_seeds(dict(zip(keys, key, strict=True)), group) for key, group in together.items()
    ]


def _over_seeds(key: dict[str, Any], runs: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {**key, "seeds": len(runs), "folders": [run["folder"] for run in runs]}
    for name in SHOWN[key["task"]]:
        row |= dict(
            zip(
                (name, f"{name}_low", f"{name}_high"),
                _spread([run["metrics"][name] for run in runs]),
                strict=True,
            )
        )
    official = row[OFFICIAL[key["task"]]]
    p_values = [run["p"] for run in runs if run["p"] is not None]
    corrected = [run["p_corrected"] for run in runs if "p_corrected" in run]
    verdicts = [run["valid"] for run in runs]
    published = published_run(key["published_run"]) if key["published_run"] else None
    return row | {
        "p": max(p_values) if p_values else None,
        "p_corrected": max(corrected) if len(corrected) == len(runs) else None,
        "valid": False if False in verdicts else None if None in verdicts else True,
        "invalid_reason": next(
            (run["invalid_reason"] for run in runs if run["invalid_reason"]), None
        ),
        "published": published.official if published else None,
        "_rank": official if official is not None else float("-inf"),
    }


def _spread(measured: list[list[float | None] | None]) -> tuple[float | None, ...]:
    """One seed: value and interval; several: mean, smallest, largest value."""
    values = [item[0] for item in measured if item is not None and item[0] is not None]
    if not values:
        return None, None, None
    if len(measured) == 1 and measured[0] is not None:
        return tuple(measured[0])
    return sum(values) / len(values), min(values), max(values)


def _name(row: dict[str, Any]) -> str:
    name = escape(f"{row['experiment']}{' *' if row['set'] == 'validation' else ''}")
    return f"{name}\n[dim]{escape(row['changes'])}[/dim]" if row["changes"] else name


def _cells(row: dict[str, Any], task: str) -> dict[str, str]:
    """Write a row's values, by column."""
    verdict = "unchecked"
    if not _missing(row["valid"]):
        verdict = "[green]VALID[/green]" if row["valid"] else "[red]INVALID[/red]"
    official, *others = IN_TERMINAL[task]
    result = _number(row[official], row[f"{official}_low"], row[f"{official}_high"])
    return {
        "n": str(int(row["seeds"])),
        TITLES[official]: "" if row["transductive"] else result,
        TRANSDUCTIVE: result if row["transductive"] else "",
        "controls": verdict,
        **{TITLES[metric]: _number(row[metric], None, None) for metric in others},
        "p": "" if _missing(row["p"]) else f"{row['p']:.2g}",
        CORRECTED: "" if _missing(row["p_corrected"]) else f"{row['p_corrected']:.2g}",
        "paper": "" if _missing(row["published"]) else f"{row['published']:.3f}",
    }


def _number(value: Any, low: Any, high: Any) -> str:
    if _missing(value):
        return ""
    if _missing(low) or _missing(high):
        return f"{value:.3f}"
    return f"{value:.3f} \\[{low:.3f}, {high:.3f}]"


def _missing(value: Any) -> bool:
    """Whether a cell is empty: None, or the NaN that a frame makes of it."""
    return value is None or bool(value != value)
