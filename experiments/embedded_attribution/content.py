"""Content or fingerprint, of every attribution method: what it knows, asked in six ways.

python experiments/embedded_attribution/content.py DIR --out OUT [--methods a,b] [--seeds 0]
python experiments/embedded_attribution/content.py DIR --out OUT --fit-nothing > content.csv

DIR holds train/, test/ and test_B/. A finished run is never repeated, so that the same command goes
on after a kill; --minutes says when no further one is begun. Test labels are read after all is
fitted; matched sets are chosen by them and by pixels, and by nothing that a method said.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hydra import compose, initialize_config_dir
from ways import METHODS, Way

from gansfp import build
from gansfp.arguments import quote
from gansfp.cli import config_folder
from gansfp.commands import train
from gansfp.data.embedded import resolve
from gansfp.evaluation.content import content, content_evidence, matched_sets
from gansfp.evaluation.intervals import wilson
from gansfp.evaluation.truth import read_truth
from gansfp.methods.base import Estimator
from gansfp.runtime import learned
from gansfp.runtime.run import Run
from gansfp.runtime.scoring import raw_scores
from gansfp.tables import read_table, score_table, write_table

ASKED = {"plain": ("A", "B"), "real": ("A",), "synthetic": ("real",), "residual": ("A", "B")}
SHARE = 0.5


def main() -> None:
    options = read_options()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    start, left_out = time.monotonic(), 0
    rows = []
    for way in METHODS:
        if options.methods and way.name not in options.methods.split(","):
            continue
        for setting, seed in runs_of(way, options.seeds):
            words = way.words(setting)
            if isinstance(words, str):
                for test in ASKED[setting]:
                    rows.append({"method": way.name, "setting": setting, "test": test,
                                 "not_run": words})  # fmt: skip
                continue
            config = config_of(options, way, setting, seed, words)
            folder = Run.of(config).folder
            finished = (folder / "asked.json").is_file()
            late = time.monotonic() - start > 60 * options.minutes
            if not finished and (options.fit_nothing or late):
                left_out += late
                continue
            if not finished:
                ask(options, config, setting)
            rows += measure(options, way, setting, seed, folder)
    print(pd.DataFrame(rows).round(4).to_csv(index=False), end="")
    if left_out:
        print(f"# {left_out} runs left out, the time is over: the same command goes on")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", help="benchmark folder, or embedded:attribution/...")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", default="", help="their names in ways.py; all")
    parser.add_argument("--seeds", default="0", help="of those that depend on one")
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--words", default="networks.weights=lite networks.size=64 trainer=cpu")
    parser.add_argument("--network-words", default="", help="of what is trained")
    parser.add_argument("--fit-nothing", action="store_true", help="measure what is there")
    options = parser.parse_args()
    options.root = Path(str(resolve(options.root)))
    return options


def runs_of(way: Way, seeds: str) -> list[tuple[str, int]]:
    chosen = [int(seed) for seed in seeds.split(",")]
    return [
        (setting, seed) for setting in ASKED for seed in (chosen if way.trained else chosen[:1])
    ]


def config_of(options: Any, way: Way, setting: str, seed: int, words: list[str]) -> Any:
    given = [*options.words.split(), *(options.network_words.split() if way.trained else [])]
    given += [f"data.root={quote(str(options.root))}", f"paths.runs={quote(str(options.out))}",
              f"study={options.root.name}", f"experiment_name={way.name}-{setting}", f"seed={seed}",
              "evaluator.controls=none", "callbacks.progress=null", "logger=none"]  # fmt: skip
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("train", [f"experiment={way.experiment}", *given, *words])


def ask(options: Any, config: Any, setting: str) -> None:
    """Fit, and write a table for each question; test labels stay where they are."""
    begun = time.monotonic()
    train.run(config)
    folder = Run.of(config).folder
    for test in ASKED[setting]:
        if test == "A":
            continue
        if test == "B":
            config.data.test_dir = str(options.root / "test_B")
        data = build.instantiate(config.data)
        data.prepare_data()
        data.setup("predict")
        method = train.build_method(config, data)
        if isinstance(method, Estimator):
            fitted: Any = type(method).load(folder / "model")
        else:
            fitted = learned.load_module(method, folder)
        bench = data.benchmark
        rows = bench.rows("train", "real") if test == "real" else bench.candidates("test")
        scores = raw_scores(config, data, fitted, rows)
        table = score_table(bench, rows, scores)
        decided = np.asarray(bench.classes, dtype=object)[scores.argmax(axis=1)]
        table = table.assign(decision=decided)
        if test == "real":  # of the training folder: its labels are no test truth
            table = table.assign(label=bench.labels(rows))
        write_table(table, folder / f"{test}.parquet")
    (folder / "asked.json").write_text(f'{{"seconds": {time.monotonic() - begun:.1f}}}\n')


def measure(options: Any, way: Way, setting: str, seed: int, folder: Path) -> list[dict[str, Any]]:
    """Measure a run's answers; those on matched sets beside the plain ones."""
    rows = []
    for test in ASKED[setting]:
        name = "predictions/test.parquet" if test == "A" else f"{test}.parquet"
        table = read_table(folder / name)
        if test == "real":
            labels = table["label"].to_numpy(dtype=object)
        else:
            place = options.root / {"A": "test", "B": "test_B"}[test] / "labels.csv"
            labels = np.array(read_truth(place, "attribution").of(table["sample_id"]), dtype=object)
        right = table["decision"].to_numpy(dtype=object) == labels
        about = {"method": way.name, "setting": setting, "seed": seed}
        rows.append({**about, "test": test, **rate(right)})
        if setting == "plain" and test == "A":
            sets = matched(options, table, labels)
            rows.append({**about, "test": "matched", **rate(right[sets.ravel()])})
    return rows


def rate(right: Any) -> dict[str, Any]:
    value, low, high = wilson(int(right.sum()), len(right))
    return {"n": len(right), "accuracy": value, "low": low, "high": high}


_MATCHED: dict[Path, Any] = {}


def matched(options: Any, table: pd.DataFrame, labels: Any) -> Any:
    """Match test images of which content says the same, a set a row."""
    if options.root not in _MATCHED:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            words = ["task=attribution", f"data.root={quote(str(options.root))}"]
            bench = build.instantiate(compose("train", words).data).benchmark
        test, real = bench.candidates("test"), bench.rows("train", "real")
        number = {name: n for n, name in enumerate(bench.index.frame["sample_id"].iloc[test])}
        asked = content(bench.images(test))[[number[name] for name in table["sample_id"]]]
        evidence = content_evidence(asked, content(bench.images(real)), bench.targets(real))
        targets = np.array([bench.classes.index(label) for label in labels])
        _MATCHED[options.root] = matched_sets(evidence, targets, SHARE)
    return _MATCHED[options.root]


if __name__ == "__main__":
    main()
