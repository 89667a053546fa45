"""Fits our own attributors on a forged benchmark, chooses on a validation fold, tests on A and B.

python experiments/best_attributor/run.py DIR --out OUT [--sizes 100,all] [--minutes 8]

DIR holds train/, test/ and test_B/ (gansfp forge benchmark=attribution benchmark.generators=2).
Each fit leaves a folder in OUT and is never repeated: the same command goes on, and --minutes stops
before the next fit. OUT/results.csv is written anew each time. Test labels are read last.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import math
import shlex
import time
import warnings
from pathlib import Path

import lightning as L
import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir

from gansfp import build
from gansfp.cli import config_folder
from gansfp.commands.train import build_method
from gansfp.data.embedded import resolve
from gansfp.ensembles.stacking import Stack, out_of_fold
from gansfp.ensembles.voting import accuracy, vote
from gansfp.evaluation.calibration import calibration_error
from gansfp.evaluation.intervals import wilson
from gansfp.evaluation.truth import read_truth
from gansfp.methods.base import Estimator
from gansfp.runtime import learned
from gansfp.tables import PROBABILITY_PREFIX, read_table, score_table, table_classes, write_table

MOSAIC, DETAIL = "experiment=beyond/mosaic", "experiment=beyond/detail"
CANDIDATES = {
    "nearest_real": "experiment=quickstart/attribution_distance",
    "mosaic": MOSAIC,
    "mosaic_fine": f"{MOSAIC} method.stride=2 method.inputs=[pixels,gaussian]",
    "mosaic_both": "experiment=beyond/mosaic_both",
    "detail": DETAIL,
    "detail_synthetic": f"{DETAIL} data.sampling.role=generated",
    "detail_plain": f"{DETAIL} method.mix=none",
    "detail_pretrained": f"{DETAIL} method.pretrain_epochs=1",
}
SEEDLESS = ("nearest_real", "mosaic", "mosaic_fine", "mosaic_both")
TESTS = {"A": "test", "B": "test_B"}
PRETRAIN_SHARE = 0.25


def main() -> None:
    options = read_options()
    torch.set_float32_matmul_precision("high")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    start, left_out = time.monotonic(), 0
    for size, name, seed in plan(options):
        folder = options.out / f"{name}-n{size}-s{seed}"
        if (folder / "done.json").is_file():
            continue
        if time.monotonic() - start > 60 * options.minutes:
            left_out += 1
            continue
        fit_one(options, name, size, seed, folder)
    if left_out:
        print(f"{left_out} fits left out, the time is over: the same command goes on")
    frame = results(options)
    write_table(frame, options.out / "results.csv")
    print(frame.to_string(index=False))


def read_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", help="benchmark folder, or embedded:attribution/...")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", default="all", help="synthetic training images a class")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--candidates", default=",".join(CANDIDATES))
    parser.add_argument("--folds", type=int, default=10, help="one of so many validates")
    parser.add_argument("--steps", type=int, default=1500, help="of a network's fit")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--words", default="", help="further key=value words for every candidate")
    parser.add_argument("--network-words", default="", help="and for the networks alone")
    parser.add_argument("--mosaic-words", default="", help="and for the mosaics alone")
    options = parser.parse_args()
    options.root = Path(resolve(options.root))
    return options


def plan(options):
    """Every fit: the largest size first, seed by seed."""
    sizes = [None if size == "all" else int(size) for size in options.sizes.split(",")]
    sizes.sort(key=lambda size: -math.inf if size is None else -size)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    for size, seed, name in itertools.product(sizes, seeds, options.candidates.split(",")):
        if name not in SEEDLESS or seed == seeds[0]:
            yield size or "all", name, seed


def config_of(options, name, size, seed, test):
    gpu = torch.cuda.is_available()
    words = [
        *shlex.split(CANDIDATES[name]), "task=attribution", f"seed={seed}",
        f"trainer={'gpu' if gpu else 'cpu'}", f"data.root='{options.root}'",
        f"data.test_dir='{options.root / test}'", f"data.folds={options.folds}", "data.fold=0",
        "data.split_seed=0", f"data.per_class={'null' if size == 'all' else size}",
    ]  # fmt: skip
    if name not in SEEDLESS:
        words += [f"data.sampling.batch_size={options.batch}", *shlex.split(options.network_words)]
    if name.startswith("mosaic"):
        words += shlex.split(options.mosaic_words)
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("train", [*words, *shlex.split(options.words)])


def fit_one(options, name, size, seed, folder):
    """Fit a candidate and write its tables: the validation fold with labels, both tests without."""
    begun = time.monotonic()
    config = config_of(options, name, size, seed, TESTS["A"])
    L.seed_everything(seed, verbose=False)
    data = build.instantiate(config.data)
    data.setup("fit")
    speed = ""
    if name in SEEDLESS:
        method = build_method(config, data).fit(data)
    else:
        steps = max(1, len(data.train_dataloader()))
        epochs = math.ceil(options.steps / steps)
        if "pretrained" in name:
            config.method.pretrain_epochs = max(1, round(PRETRAIN_SHARE * epochs))
            epochs += config.method.pretrain_epochs
        method = build_method(config, data)
        config.trainer.update(max_epochs=epochs, enable_progress_bar=False)
        trainer = build.instantiate(
            config.trainer, logger=False, enable_checkpointing=False, limit_val_batches=0,
            default_root_dir=str(folder),
        )  # fmt: skip
        fitting = time.monotonic()
        trainer.fit(method, datamodule=data)
        images = trainer.global_step * config.data.sampling.batch_size
        speed = f", {images / (time.monotonic() - fitting):,.0f} images/s"
    rows = data.holdout_rows
    table = tabulate(config, data, method, rows)
    write_table(table.assign(label=data.benchmark.labels(rows)), folder / "validation.parquet")
    for letter, test in TESTS.items():
        config = config_of(options, name, size, seed, test)
        asked = build.instantiate(config.data)
        found = tabulate(config, asked, method, asked.benchmark.candidates("test"))
        write_table(found, folder / f"{letter}.parquet")
    seconds = time.monotonic() - begun
    fitted = len(data.generated_rows)
    (folder / "done.json").write_text(json.dumps({"seconds": seconds, "fitted_on": fitted}))
    print(f"{folder.name}: {seconds:.1f} s{speed}", flush=True)


def tabulate(config, data, method, rows):
    if isinstance(method, Estimator):
        scores = method.predict(data, rows)
    else:
        scores = learned.predict(method, data, rows, config.trainer)
    table = score_table(data.benchmark, rows, scores)
    classes = np.asarray(data.benchmark.classes, dtype=object)
    return table.assign(decision=classes[scores.argmax(axis=1)])


def results(options):
    """One row a fit, a vote over the seeds of each candidate, and stacks; the best is `chosen`."""
    rows = []
    fits = [fit for fit in plan(options) if (folder_of(options, *fit) / "done.json").is_file()]
    for size in dict.fromkeys(size for size, *_ in fits):
        here = [fit for fit in fits if fit[0] == size]
        groups = {f"{name} (seed {seed})": [(size, name, seed)] for _, name, seed in here}
        for name in dict.fromkeys(name for _, name, _ in here):
            of_name = [fit for fit in here if fit[1] == name]
            if len(of_name) > 1:
                groups[f"vote of {name}"] = of_name
        for label, group in groups.items():
            tables = read(options, group)
            found = {k: vote(v) if len(v) > 1 else own(v[0]) for k, v in tables.items()}
            rows.append(row(options, size, label, group, found))
        rows += stacks(options, size, here)
        best = max((r for r in rows if r["images_a_class"] == size), key=lambda r: r["validation"])
        best["chosen"] = True
    return pd.DataFrame(rows)


def own(table):
    return table[[PROBABILITY_PREFIX + name for name in table_classes(table)]].to_numpy()


def stacks(options, size, here):
    """Stacks of all fits, of the mosaics and of the networks, weighed on the validation fold."""
    kinds = {
        "stack of all": here,
        "stack of mosaics": [fit for fit in here if fit[1].startswith("mosaic")],
        "stack of networks": [fit for fit in here if fit[1].startswith("detail")],
    }
    rows = []
    for label, group in kinds.items():
        if len(group) < 2:
            continue
        tables = read(options, group)
        stack = Stack.fit(tables["validation"])
        found = {letter: stack.probabilities(tables[letter]) for letter in TESTS}
        found["validation"] = out_of_fold(tables["validation"])
        rows.append(row(options, size, label, group, found))
    return rows


def folder_of(options, size, name, seed):
    return options.out / f"{name}-n{size}-s{seed}"


def read(options, group):
    splits = ("validation", *TESTS)
    return {
        split: [read_table(folder_of(options, *fit) / f"{split}.parquet") for fit in group]
        for split in splits
    }


def row(options, size, label, group, found):
    """Accuracy on the validation fold; on both tests too, with intervals and calibration error."""
    first = {split: tables[0] for split, tables in read(options, group[:1]).items()}
    done = [json.loads((folder_of(options, *fit) / "done.json").read_text()) for fit in group]
    measured = {
        "images_a_class": size,
        "fitted_on": done[0]["fitted_on"],
        "attributor": label,
        "validation": round(accuracy(found["validation"], first["validation"]), 4),
    }
    for letter, test in TESTS.items():
        truth = read_truth(options.root / test / "labels.csv", "attribution")
        labels = truth.of(first[letter]["sample_id"])
        classes = table_classes(first[letter])
        decided = np.asarray(classes, dtype=object)[found[letter].argmax(axis=1)]
        targets = np.array([classes.index(label) for label in labels])
        error = calibration_error(found[letter], targets)
        right = int((decided == np.asarray(labels, dtype=object)).sum())
        value, low, high = wilson(right, len(labels))
        measured |= {letter: round(value, 4), f"{letter}_low": round(low, 4)}
        measured |= {f"{letter}_high": round(high, 4), f"{letter}_ece": round(error, 4)}
    return {**measured, "seconds": round(sum(d["seconds"] for d in done), 1), "chosen": False}


if __name__ == "__main__":
    main()
