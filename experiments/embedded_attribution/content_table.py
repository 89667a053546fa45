"""Lays the answers of content.py out: a row a method, a column a question.

python experiments/embedded_attribution/content_table.py content.csv
"""

from __future__ import annotations

import sys

import pandas as pd
from ways import METHODS

QUESTIONS = {
    "A": ("plain", "A"),
    "B": ("plain", "B"),
    "content-matched": ("plain", "matched"),
    "real to synthetic": ("real", "A"),
    "synthetic to real": ("synthetic", "real"),
    "residuals, A": ("residual", "A"),
    "residuals, B": ("residual", "B"),
}


def main(path: str) -> None:
    """Print the table, and a note for each question that a method cannot be asked."""
    frame = pd.read_csv(path)
    notes: dict[str, str] = {}
    print("| method | " + " | ".join(QUESTIONS) + " |")
    print("| --- " * (len(QUESTIONS) + 1) + "|")
    for way in METHODS:
        own = frame[frame["method"] == way.name]
        cells = [cell(own, *asked, notes) for asked in QUESTIONS.values()]
        print(f"| `{way.name}` | " + " | ".join(cells) + " |")
    print()
    print("; ".join(f"({letter}) {text}" for text, letter in notes.items()) + ".")


def cell(own: pd.DataFrame, setting: str, test: str, notes: dict[str, str]) -> str:
    """Write an accuracy with its interval, the mean over seeds where there are several."""
    found = own[(own["setting"] == setting) & (own["test"] == test)]
    reasons = found["not_run"].dropna() if "not_run" in found else found.iloc[:0]
    if len(reasons):
        return f"({notes.setdefault(str(reasons.iloc[0]), chr(ord('a') + len(notes)))})"
    if found.empty:
        return "not run"
    text = "{:.3f} [{:.3f}, {:.3f}]".format(*found[["accuracy", "low", "high"]].mean())
    if len(found) > 1:
        text += f" ({found['accuracy'].min():.3f} to {found['accuracy'].max():.3f})"
    return text


if __name__ == "__main__":
    main(*sys.argv[1:])
