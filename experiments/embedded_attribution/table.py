"""Accuracy on single images and on sets, of every attribution run of the named studies.

python experiments/embedded_attribution/table.py STUDY=TEST_DIR ... > results.csv
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from gansfp.data.embedded import resolve
from gansfp.evaluation.pooling import pooled_accuracy
from gansfp.evaluation.truth import read_truth
from gansfp.tables import PROBABILITY_PREFIX, read_table, table_classes

SIZES = (1, 2, 5, 10, 20)


def row(folder, truth):
    run, result = (json.loads((folder / f"{n}.json").read_text()) for n in ("run", "result"))
    table = read_table(folder / "predictions" / "test.parquet")
    classes = table_classes(table)
    targets = np.array([classes.index(label) for label in truth.of(table["sample_id"])])
    p = table[[PROBABILITY_PREFIX + name for name in classes]].to_numpy()
    value, low, high = result["test"]["metrics"]["accuracy"]
    sets = pooled_accuracy(p, targets, SIZES)
    return {
        "study": run["study"],
        "experiment": run["experiment"],
        "changes": " ".join(run["changes"]),
        "seed": run["seed"],
        "n": result["test"]["n"],
        "accuracy": value,
        "accuracy_low": low,
        "accuracy_high": high,
        "p": result["test"]["chance"]["accuracy"],
        "valid": result["valid"],
        **{f"sets_of_{size}": share for size, share in sets.items()},
    }


def main(places):
    rows = []
    for place in places:
        study, _, test = place.partition("=")
        truth = read_truth(Path(resolve(test)) / "labels.csv", "attribution")
        rows += [row(p.parent, truth) for p in Path("runs", study).glob("*/result.json")]
    frame = pd.DataFrame(rows).sort_values(["experiment", "changes", "study"]).round(4)
    frame.to_csv(sys.stdout, index=False)


if __name__ == "__main__":
    main(sys.argv[1:])
