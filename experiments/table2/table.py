"""Kappa of every recipe on every benchmark, beside the published one.

python experiments/table2/table.py runs > results.csv
python experiments/table2/table.py runs markdown
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from gansfp.evaluation.leaderboard import leaderboard

STUDY = "table2-"
FIRST = ("ddpm_long", "ddpm_short", "gan", "null")
"""Benchmarks whose columns come first; others follow by name."""
COLUMNS = ["study", "experiment", "changes", "transductive", "seeds", "kappa", "kappa_low",
           "kappa_high", "p", "p_corrected", "auroc", "auroc_low", "auroc_high", "valid",
           "invalid_reason", "published_run", "published"]  # fmt: skip


def main(folder: str, style: str = "csv") -> None:
    """Print the rows, or the tables of the page."""
    frame = leaderboard(Path(folder))
    frame = frame[frame["study"].str.startswith(STUDY)].sort_values(["study", "experiment"])
    frame = frame[COLUMNS].round(4)
    if style == "csv":
        print(frame.to_csv(index=False), end="")
        return
    for title, transductive in (("Inductive", False), ("Transductive", True)):
        print(f"{title}:\n\n{markdown(frame, transductive)}")
    print(found(frame))


def markdown(frame: pd.DataFrame, transductive: bool) -> str:
    """Lay one row a recipe out; bold where max-T leaves 5 %, a star where a control is marked."""
    names = benchmarks(frame)
    lines = ["| recipe | published | " + " | ".join(names) + " |"]
    lines.append("| --- " * (len(names) + 2) + "|")
    for name, rows in frame[frame["transductive"] == transductive].groupby("experiment"):
        by = {row.study.removeprefix(STUDY): row for row in rows.itertuples()}
        first = rows.iloc[0]
        published = "" if pd.isna(first.published) else f"{first.published:.3f}"
        cells = [cell(by[key]) if key in by else "" for key in names]
        title = name.removeprefix("table2/")
        lines.append("| " + " | ".join([title, published, *cells]) + " |")
    return "\n".join(lines) + "\n"


def benchmarks(frame: pd.DataFrame) -> list[str]:
    """Name the columns in their order."""
    there = sorted(frame["study"].str.removeprefix(STUDY).unique())
    return [name for name in FIRST if name in there] + [x for x in there if x not in FIRST]


def found(frame: pd.DataFrame) -> str:
    """Say for each benchmark which recipes leave the chance band, the best first."""
    lines = []
    for name in benchmarks(frame):
        rows = frame[frame["study"] == STUDY + name]
        out = rows[rows["p_corrected"] <= 0.05].sort_values("kappa", ascending=False)
        words = ", ".join(f"{row.experiment} {row.kappa:.3f}" for row in out.itertuples())
        lines.append(f"{name}: {len(out)} of {len(rows)}{': ' if words else ''}{words}")
    return "\n".join(lines)


def cell(row: pd.Series) -> str:
    """Write one kappa with its interval."""
    text = f"{row.kappa:.3f} [{row.kappa_low:.3f}, {row.kappa_high:.3f}]"
    text = f"**{text}**" if row.p_corrected <= 0.05 else text
    return f"{text} *" if row.valid is False else text


if __name__ == "__main__":
    main(*sys.argv[1:])
