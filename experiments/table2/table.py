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
BENCHMARKS = ("ddpm_long", "ddpm_short", "gan", "null")
COLUMNS = ["study", "experiment", "changes", "transductive", "seeds", "kappa", "kappa_low",
           "kappa_high", "p", "p_corrected", "auroc", "auroc_low", "auroc_high", "valid",
           "invalid_reason", "published_run", "published"]  # fmt: skip


def main(folder: str, style: str = "csv") -> None:
    """Print one of the two tables."""
    frame = leaderboard(Path(folder))
    frame = frame[frame["study"].str.startswith(STUDY)].sort_values(["study", "experiment"])
    frame = frame[COLUMNS].round(4)
    print(frame.to_csv(index=False) if style == "csv" else markdown(frame), end="")


def markdown(frame: pd.DataFrame) -> str:
    """Lay one row a recipe out; bold where max-T leaves 5 %, a star where a control is marked."""
    lines = ["| recipe | published | " + " | ".join(BENCHMARKS) + " |", "| --- " * 6 + "|"]
    for name, rows in frame.groupby("experiment"):
        first, by = rows.iloc[0], {row.study.removeprefix(STUDY): row for row in rows.itertuples()}
        title = f"{name.removeprefix('table2/')}{' (T)' if first.transductive else ''}"
        published = "" if pd.isna(first.published) else f"{first.published:.3f}"
        cells = [cell(by[key]) if key in by else "" for key in BENCHMARKS]
        lines.append("| " + " | ".join([title, published, *cells]) + " |")
    return "\n".join(lines) + "\n"


def cell(row: pd.Series) -> str:
    """Write one kappa with its interval."""
    text = f"{row.kappa:.3f} [{row.kappa_low:.3f}, {row.kappa_high:.3f}]"
    text = f"**{text}**" if row.p_corrected <= 0.05 else text
    return text if row.valid else f"{text} *"


if __name__ == "__main__":
    main(*sys.argv[1:])
