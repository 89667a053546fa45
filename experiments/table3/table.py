"""Accuracy of every recipe on images of the same generators (A) and of others (B).

python experiments/table3/table.py runs DIR ... > results.csv
python experiments/table3/table.py runs DIR ... markdown

The DIRs are those of run.sh, whose studies are below `runs`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gansfp.data.embedded import resolve
from gansfp.evaluation.intervals import wilson
from gansfp.evaluation.leaderboard import leaderboard
from gansfp.evaluation.multiplicity import holm
from gansfp.evaluation.paired import mcnemar
from gansfp.evaluation.truth import read_truth
from gansfp.tables import read_table, table_classes

STUDY = "table3-"
BASELINE = "quickstart/attribution_distance"
TESTS = {"A": ("test", "predictions/test.parquet"), "B": ("test_B", "test_B/test.parquet")}
OWN_WORDS = ("method.", "backbone@", "data.")
"""Words in which runs of one recipe differ here; the others are those of the whole study."""


def main(folder: str, *roots: str) -> None:
    """Print one of the two tables."""
    *roots, style = roots if roots[-1] == "markdown" else (*roots, "csv")
    rows = [row for root in roots for row in benchmark(Path(folder), root)]
    frame = pd.DataFrame(rows)
    tested = frame["p"].notna()
    frame.loc[tested, "p_corrected"] = holm(frame.loc[tested, "p"])
    frame = frame.sort_values(["benchmark", "test", "experiment", "changes"], kind="stable")
    text = markdown(frame) if style == "markdown" else frame.round(4).to_csv(index=False)
    print(text, end="")


def benchmark(folder: Path, root: str) -> list[dict[str, Any]]:
    """Measure all runs on one benchmark: a row for each variant of a recipe and each test set."""
    name = root.rstrip("/").split("/")[-1]
    board = leaderboard(folder / f"{STUDY}{name}")
    (baseline,) = board.loc[board["experiment"] == BASELINE, "folders"]
    rows = []
    for letter, (test, table) in TESTS.items():
        labels = Path(str(resolve(root))) / test / "labels.csv"
        if not labels.is_file():
            continue
        truth = read_truth(labels, "attribution")
        nearest = read_table(Path(baseline[0]) / table)
        ids = nearest["sample_id"]
        right = np.array(truth.of(ids), dtype=object)
        base = nearest["decision"].to_numpy(dtype=object)
        for variant in board.to_dict("records"):
            tables = [read_table(Path(run) / table) for run in variant["folders"]]
            decided = [
                one.set_index("sample_id").loc[ids, "decision"].to_numpy(dtype=object)
                for one in tables
            ]
            own = " ".join(w for w in variant["changes"].split() if w.startswith(OWN_WORDS))
            about = {
                "benchmark": name,
                "test": letter,
                "experiment": variant["experiment"],
                "changes": own,
                "published_run": variant["published_run"],
                "published": variant["published"],
                "transductive": variant["transductive"],
                "valid": variant["valid"],
                "chance": 1 / len(table_classes(nearest)),
            }
            rows.append(about | measured(right, decided, base))
    return rows


def measured(right: Any, decided: list[Any], base: Any) -> dict[str, Any]:
    """Measure a recipe over its seeds, and against the baseline on the same images.

    The interval is Wilson's at the mean over seeds: what other images would give. The range is
    that of the seeds. p is the largest over seeds, so that each of them must differ.
    """
    hits = [int((one == right).sum()) for one in decided]
    n = len(right)
    value, low, high = wilson(float(np.mean(hits)), n)  # type: ignore[arg-type]
    alone = all((one == base).all() for one in decided)
    return {
        "n": n,
        "seeds": len(hits),
        "accuracy": value,
        "accuracy_low": low,
        "accuracy_high": high,
        "smallest": min(hits) / n,
        "largest": max(hits) / n,
        "difference": value - float((base == right).mean()),
        "p": None if alone else max(mcnemar(right, one, base) for one in decided),
        "p_corrected": None,
    }


def markdown(frame: pd.DataFrame) -> str:
    """Lay one row a recipe out; bold where Holm leaves 5 % and it beats the baseline."""
    columns = list(dict.fromkeys(zip(frame["benchmark"], frame["test"], strict=True)))
    head = ["recipe", "published", "seeds", *(f"{name}, {letter}" for name, letter in columns)]
    lines = [f"| {' | '.join(head)} |", "| --- " * len(head) + "|"]
    for (name, changes), rows in frame.groupby(["experiment", "changes"], sort=True):
        first = rows.iloc[0]
        by = {(row.benchmark, row.test): row for row in rows.itertuples()}
        title = f"`{name.removeprefix('table3/')}`{' (T)' if first.transductive else ''}"
        title += f" {changes.replace('method.', '').replace('representation.', '')}".rstrip()
        published = "" if pd.isna(first.published) else f"{first.published:.4f}"
        cells = [cell(by[key]) if key in by else "not run" for key in columns]
        lines.append(f"| {' | '.join([title, published, str(first.seeds), *cells])} |")
    return "\n".join(lines) + "\n"


def cell(row: Any) -> str:
    """Write an accuracy with its interval, its seeds' range, and how it differs."""
    text = f"{row.accuracy:.3f} [{row.accuracy_low:.3f}, {row.accuracy_high:.3f}]"
    if row.seeds > 1:
        text += f" ({row.smallest:.3f} to {row.largest:.3f})"
    if row.p_corrected is not None and row.p_corrected <= 0.05:
        text = f"**{text}**" if row.difference > 0 else f"{text} -"
    return text if row.valid is not False else f"{text} *"


if __name__ == "__main__":
    main(*sys.argv[1:])
