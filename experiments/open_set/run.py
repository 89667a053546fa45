"""Rejects images of a generator that training does not know: each subset is left out in turn.

python experiments/open_set/run.py DIR --out OUT > results.csv

DIR holds train/ and test/ of an attribution benchmark. A copy of links without the subset is made
in OUT, whose truth calls its test images unknown; each recipe is fitted on it with decision=reject,
whose threshold keeps 95 % of held-out images of the known subsets. No run is ever repeated.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir

from gansfp.arguments import quote
from gansfp.cli import config_folder
from gansfp.commands import train
from gansfp.data.embedded import resolve
from gansfp.evaluation.intervals import wilson
from gansfp.evaluation.openset import UNKNOWN, false_acceptance, open_set
from gansfp.evaluation.truth import read_truth
from gansfp.runtime.run import Run
from gansfp.tables import PROBABILITY_PREFIX, read_table, table_classes

RECIPES = {
    "nearest real, pixels": "quickstart/attribution_distance",
    "patch mosaic": "beyond/mosaic",
    "fingerprint, wavelet": "beyond/fingerprint_wavelet",
    "mid-layer, regression": "beyond/midlayer_logistic networks.size=64",
}


def main() -> None:
    options = read_options()
    classes = sorted(path.name for path in (options.root / "train" / "real").iterdir())
    rows = []
    for left_out in classes:
        folder = without(options.root, left_out, options.out / f"without-{left_out}")
        for name, words in RECIPES.items():
            rows.append(
                {"recipe": name, "left_out": left_out, **measure(folder, options.out, words)}
            )
    frame = pd.DataFrame(rows)
    frame = pd.concat([frame, *(joined(name, part) for name, part in frame.groupby("recipe"))])
    frame.round(4).to_csv(sys.stdout, index=False)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", help="benchmark folder, or embedded:attribution/...")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.root = Path(str(resolve(options.root))).absolute()
    options.out = options.out.absolute()
    return options


def without(root: Path, left_out: str, folder: Path) -> Path:
    """Lay a benchmark out without a subset, its test images unknown."""
    for kind in ("generated", "real"):
        for path in (root / "train" / kind).iterdir():
            if path.name not in (left_out, f"gen_{left_out}"):
                link(path, folder / "train" / kind / path.name)
    link(root / "test" / "generated_unknown", folder / "test" / "generated_unknown")
    with (root / "test" / "labels.csv").open(encoding="utf-8") as file:
        rows = [[name, UNKNOWN if label.removeprefix("gen_") == left_out else label]
                for name, label in csv.reader(file)]  # fmt: skip
    with (folder / "test" / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    for groups in ("groups.csv", "train/groups.csv"):
        if (root / groups).is_file():
            gone = (f"real/{left_out}/", f"generated/gen_{left_out}/")
            lines = (root / groups).read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if not any(part in line for part in gone)]
            (folder / groups).write_text("\n".join(kept) + "\n", encoding="utf-8")
    return folder


def link(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        place.symlink_to(source, target_is_directory=True)


def measure(folder: Path, out: Path, words: str) -> dict[str, Any]:
    """Fit a recipe, and measure how it tells known from unknown images."""
    given = [f"experiment={words.split()[0]}", *words.split()[1:], "decision=reject",
             "networks.weights=lite", f"data.root={quote(str(folder))}",
             f"paths.runs={quote(str(out / 'runs'))}", f"study={folder.name}",
             f"experiment_name={words.split()[0]}", "evaluator.controls=none"]  # fmt: skip
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", given)
    train.run(config)
    run = Run.of(config)
    table = read_table(run.predictions("test"))
    labels = read_truth(folder / "test" / "labels.csv", "attribution").of(table["sample_id"])
    classes = table_classes(table)
    p = table[[PROBABILITY_PREFIX + name for name in classes]].to_numpy(np.float64)
    known = np.array([label != UNKNOWN for label in labels])
    targets = np.array([classes.index(label) for label in labels if label != UNKNOWN])
    threshold = float((run.result or {})["threshold"])
    found = open_set(p[known], targets, p[~known], threshold)
    accepted = false_acceptance(p[known], p[~known])
    value, low, high = found.auroc
    return {
        "known": int(known.sum()),
        "unknown": int((~known).sum()),
        "auroc": value,
        "auroc_low": low,
        "auroc_high": high,
        "fpr_at_95_tpr": accepted.value,
        "fpr_low": accepted.low,
        "fpr_high": accepted.high,
        "accuracy_known": float((p[known].argmax(axis=1) == targets).mean()),
        "rule_known_kept": found.known_kept,
        "rule_known_right": found.known_right,
        "rule_unknown_rejected": found.unknown_rejected,
    }


def joined(name: str, part: pd.DataFrame) -> pd.DataFrame:
    """Average over the subsets left out; the ends of AUROC are the smallest and the largest."""
    row = part.drop(columns=["recipe", "left_out"]).mean().to_dict()
    ends = {"auroc_low": part["auroc"].min(), "auroc_high": part["auroc"].max()}
    total = int(part["unknown"].sum())
    _, low, high = wilson(round(float((part["fpr_at_95_tpr"] * part["unknown"]).sum())), total)
    known = {"recipe": name, "left_out": "mean", "known": int(part["known"].sum())}
    return pd.DataFrame(
        [{**row, **ends, **known, "unknown": total, "fpr_low": low, "fpr_high": high}]
    )


if __name__ == "__main__":
    main()
