"""What membership recipes "find" where the generator knows nobody.

python experiments/null/table.py runs > results.csv
python experiments/null/table.py runs markdown
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from gansfp.evaluation.family import truth_path
from gansfp.evaluation.leaderboard import leaderboard
from gansfp.evaluation.metrics import binary_rates
from gansfp.evaluation.multiplicity import holm
from gansfp.evaluation.permutation import Blocks
from gansfp.evaluation.truth import read_truth
from gansfp.runtime.run import Run
from gansfp.tables import read_table

STUDY = "null-"
LEVEL = 0.05
PERMUTATIONS = 4000
COLUMNS = ["study", "experiment", "changes", "transductive", "kappa", "kappa_low", "kappa_high",
           "p", "p_max_t", "p_holm", "auroc", "auroc_low", "auroc_high"]  # fmt: skip


def main(folder: str, style: str = "csv") -> None:
    """Print the rows, or what they say."""
    frame = leaderboard(Path(folder))
    frame = frame[frame["study"].str.startswith(STUDY)].sort_values(["study", "experiment"])
    frame = frame.rename(columns={"p_corrected": "p_max_t"}).assign(p_holm=holm(frame["p"]))
    if style == "csv":
        print(frame[COLUMNS].round(4).to_csv(index=False), end="")
    else:
        print(f"{summary(frame)}\n\n{markdown(frame)}")


def summary(frame: pd.DataFrame) -> str:
    """Hold the number of small p-values against what chance gives."""
    small, rows = int((frame["p"] <= LEVEL).sum()), len(frame)
    low, high = stats.binom.interval(0.95, rows, LEVEL)
    together = sum(counts(study) for _, study in frame.groupby("study"))
    middle, first, last = together.mean(), *np.quantile(together, [0.025, 0.975])
    return (
        f"{rows} rows, {frame['study'].nunique()} generators, {frame['experiment'].nunique()} "
        f"recipes: {small} with p <= {LEVEL} (were all independent: {LEVEL * rows:.1f} expected, "
        f"{low:.0f} to {high:.0f} in 95 %; labels permuted under all recipes at once: "
        f"{middle:.1f}, {first:.0f} to {last:.0f}); {int((frame['p_max_t'] <= LEVEL).sum())} with "
        f"p corrected within their generator, {int((frame['p_holm'] <= LEVEL).sum())} corrected by "
        f"Holm over the table."
    )


def counts(study: pd.DataFrame) -> np.ndarray:
    """Count the recipes with p <= LEVEL in each permutation of a study's truth.

    Recipes agree with each other, so that their p-values are small together: the same permutation
    for all of them keeps that.
    """
    folders = [folder for listed in study["folders"] for folder in listed]
    tables = [
        read_table(Run(folder).predictions("test")).sort_values("sample_id") for folder in folders
    ]
    names = tables[0]["sample_id"].to_numpy().astype(str)
    labels = read_truth(truth_path(Run(folders[0])), "membership").of(names)
    called = np.stack([table["decision"].to_numpy(np.float64) for table in tables])
    groups = tables[0]["group"].to_numpy().astype(str)
    drawn = [
        kappas(permuted.astype(np.float64), called)
        for permuted in Blocks.of(np.array(labels, int), groups).permuted(PERMUTATIONS, seed=1)
    ]
    size = np.abs(np.concatenate(drawn))
    p = stats.rankdata(-size.round(12), method="max", axis=0) / len(size)
    return (p <= LEVEL).sum(axis=1)


def kappas(labels: np.ndarray, called: np.ndarray) -> np.ndarray:
    """Give kappa of decisions (k, n) under labels (b, n): shape (b, k)."""
    members = labels.sum(axis=1, keepdims=True)
    tp = labels @ called.T
    fp = called.sum(axis=1) - tp
    return binary_rates(tp, fp, members - tp, labels.shape[1] - members - fp)["kappa"]


def markdown(frame: pd.DataFrame) -> str:
    """Lay one row a recipe out; bold where p is small by itself."""
    studies = sorted(frame["study"].unique())
    names = [study.removeprefix(STUDY) for study in studies]
    lines = [f"| recipe | {' | '.join(names)} | p <= {LEVEL} | smallest p, Holm |"]
    lines.append("| --- " * (len(studies) + 3) + "|")
    for name, rows in frame.groupby("experiment"):
        by = {row.study: row for row in rows.itertuples()}
        cells = [cell(by[study]) if study in by else "" for study in studies]
        title = f"{name}{' (T)' if rows['transductive'].iloc[0] else ''}"
        found = f"{int((rows['p'] <= LEVEL).sum())} of {len(rows)}"
        lines.append(f"| {title} | {' | '.join(cells)} | {found} | {rows['p_holm'].min():.3f} |")
    return "\n".join(lines)


def cell(row: pd.Series) -> str:
    """Write one kappa with its interval."""
    text = f"{row.kappa:.3f} [{row.kappa_low:.3f}, {row.kappa_high:.3f}]"
    return f"**{text}**" if row.p <= LEVEL else text


if __name__ == "__main__":
    main(*sys.argv[1:])
