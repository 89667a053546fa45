"""Adds the runs of the studies beyond-BENCHMARK below a folder to results.csv beside this file.

python experiments/beyond/table.py runs
python experiments/beyond/table.py runs markdown    # the same runs as rows for the README

A row that is there already, of the same benchmark and recipe, is replaced. `p_corrected` is by
max-T over the runs of the study that are below the folder; rows of an earlier call keep what they
had. Runs whose recipe the command line changed, but for the trainer's device, go to changed.csv;
what fits on shuffled labels found (evaluator.controls=full) goes to shuffled.csv, of any study.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from gansfp.evaluation.leaderboard import leaderboard

HERE = Path(__file__).parent
STUDY = "beyond-"
BENCHMARKS = ("ddpm_long", "ddpm_short", "gan", "null")
MEASURED = ("kappa", "auroc", "tpr_at_1fpr", "tpr_at_10fpr")
DEVICE = ("trainer=", "trainer.enable_progress_bar=")
KEYS = ["benchmark", "recipe", "changes"]


def rows(folder: Path) -> pd.DataFrame:
    """Read the finished runs, one row each."""
    board = leaderboard(folder)
    board = board[board["study"].str.startswith(STUDY) & (board["set"] == "test")]
    return pd.DataFrame([row(one) for one in board.to_dict("records")])


def shuffled(folder: Path) -> pd.DataFrame:
    """Read the control of shuffled labels of each run that has it."""
    found = []
    for path in sorted(folder.rglob("result.json")):
        control = json.loads(path.read_text(encoding="utf-8"))["controls"].get("shuffled")
        if control is not None and ".old-" not in path.parent.name:
            run = json.loads(path.with_name("run.json").read_text(encoding="utf-8"))
            found.append({"recipe": run["experiment"].removeprefix("beyond/"), **control})
    return pd.DataFrame(found)


def row(one: dict[str, Any]) -> dict[str, Any]:
    """Pick what is recorded of a run."""
    result = json.loads((one["folders"][0] / "result.json").read_text(encoding="utf-8"))
    controls, chance = result["controls"], result["test"]["chance"]
    return {
        "benchmark": one["study"].removeprefix(STUDY),
        "recipe": one["experiment"].removeprefix("beyond/"),
        "changes": " ".join(w for w in one["changes"].split() if not w.startswith(DEVICE)),
        "transductive": one["transductive"],
        **{name + end: one[name + end] for name in MEASURED for end in ("", "_low", "_high")},
        "p_kappa": chance["kappa"],
        "p_auroc": chance["auroc"],
        "p_corrected": one["p_corrected"],
        **{name: controls[name]["value"] for name in ("blind", "members", "non_members")},
        "valid": one["valid"],
    }


def record(found: pd.DataFrame, path: Path) -> None:
    """Write the rows into a file, sorted, in the place of earlier ones of the same runs."""
    known = found.iloc[:0]
    if path.is_file():  # a benchmark is called null
        known = pd.read_csv(path, keep_default_na=False, na_values=[""])
    keys = [key for key in KEYS if key in found]
    both = pd.concat([known, found.round(5)]).drop_duplicates(keys, keep="last")
    both.sort_values(keys).to_csv(path, index=False)


def markdown(found: pd.DataFrame) -> str:
    """Lay one row a recipe out: kappa, AUROC, T: transductive, bold where max-T leaves 5 %."""
    lines = ["| attack | " + " | ".join(BENCHMARKS) + " |", "| --- " * 5 + "|"]
    for name, group in found.groupby("recipe"):
        by = {one["benchmark"]: one for one in group.to_dict("records")}
        seen = " (T)" if group["transductive"].any() else ""
        cells = [cell(by[key]) if key in by else "" for key in BENCHMARKS]
        lines.append("| " + " | ".join([f"{name}{seen}", *cells]) + " |")
    return "\n".join(lines)


def cell(one: dict[str, Any]) -> str:
    """Write a kappa with its interval, and the area."""
    text = f"{one['kappa']:.3f} [{one['kappa_low']:.3f}, {one['kappa_high']:.3f}]"
    text = f"**{text}**" if one["p_corrected"] <= 0.05 else text
    return f"{text}{'' if one['valid'] else ' *'}; {one['auroc']:.3f}".replace("-0.000", "0.000")


def main(folder: str, style: str = "csv") -> None:
    """Record the runs, or print them."""
    found = rows(Path(folder))
    plain = found[found["changes"] == ""].drop(columns="changes")
    if style == "markdown":
        sys.stdout.write(markdown(plain) + "\n")
        return
    record(plain, HERE / "results.csv")
    changed = found[found["changes"] != ""]
    if len(changed):
        record(changed, HERE / "changed.csv")
    control = shuffled(Path(folder))
    if len(control):
        control.drop(columns="what").round(5).to_csv(HERE / "shuffled.csv", index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
