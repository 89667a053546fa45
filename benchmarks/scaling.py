"""Training and forging on 1, 2, ... devices of one host: images a second, and the same results.

python benchmarks/scaling.py --devices 1,2 --accelerator cpu --small
python benchmarks/scaling.py --devices 1,2,4 --accelerator gpu --membership DIR --attribution DIR

Every run is a `gansfp` command of its own, in a folder of its own below --output; a finished one is
not run again. The global batch is the same on any number of devices (strong scaling), so the result
must be too: its metric is compared with one device's, whose spread over seeds is the measure.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gansfp.callbacks.throughput import THROUGHPUT

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from toy import write_toy_attribution, write_toy_membership

RECIPES = {
    "attribution": "table3/1425_efficientnet_b1",
    "membership": "table2/1874_experts",
}
SMALL = {
    "attribution": ["networks.weights=none", "networks.size=32", "trainer.max_epochs=2"],
    "membership": [
        "networks.weights=none", "networks.size=32", "trainer.max_epochs=2", "method.queue=256",
        "method.experts=[resnet18,efficientnet_b0]", "data.sampling.batch_size=32",
        "data.sampling.representation=null",
    ],
    "forge": [
        "generator=ddpm_debug", "generator.steps=120", "generator.batch_size=16", "card.kid=false",
        "source.patients=24", "source.image_size=16", "benchmark.generated_train=20",
        "benchmark.generated_test=10",
    ],
    "ensemble": ["networks.weights=none", "networks.size=32", "method.grid=null",
                 "method.backbones=[efficientnet_b0]", "method.replicas=4", "method.drop_worst=0",
                 "method.bar=0", "method.overrides='trainer.max_epochs=1'"],
}  # fmt: skip
FORGE = ["source=phantom", "source.patients=400", "source.image_size=64", "generator=ddpm",
         "generator.batch_size=256", "generator.steps=600"]  # fmt: skip


@dataclass
class Bench:
    """What the command line asks for.

    Attributes:
        accelerator: cpu or gpu.
        output: Folder of all runs.
        data: Benchmark folder of each task.
        small: Tiny settings.
        extra: Further words for every `gansfp train` and `forge`.
    """

    accelerator: str
    output: Path
    data: dict[str, Path]
    small: bool
    extra: list[str] = field(default_factory=list)

    def gansfp(self, *words: str) -> float:
        """Run a command in the output folder; returns its seconds."""
        script = Path(sys.executable).with_name("gansfp")
        # NVLink multicast is left off, as in the launchers.
        env = {"NCCL_NVLS_ENABLE": "0", "OMP_NUM_THREADS": "1"} | dict(os.environ)
        started = time.perf_counter()
        done = subprocess.run(
            [str(script), *words], cwd=self.output, env=env, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(f"gansfp {' '.join(words)}\n{done.stderr[-3000:]}")
        return time.perf_counter() - started

    def trainer(self, devices: int, several: str) -> list[str]:
        """Say how a command gets its devices."""
        chosen = f"trainer={several}" if devices > 1 else f"trainer={self.accelerator}"
        precision = "bf16-mixed" if self.accelerator == "gpu" else "32-true"
        return [chosen, f"trainer.devices={devices}", f"trainer.accelerator={self.accelerator}",
                f"trainer.precision={precision}"]  # fmt: skip

    def settings(self, case: str) -> list[str]:
        """Give the words that make a case small, where it shall be."""
        return [*(SMALL[case] if self.small else []), *self.extra]


def fit(bench: Bench, task: str, devices: int, seed: int) -> dict[str, Any]:
    """Train a recipe; returns its rate, its official metric and its test scores."""
    study = f"{task}-{devices}"
    bench.gansfp(
        "train", f"experiment={RECIPES[task]}", f"data.root={bench.data[task]}", f"seed={seed}",
        f"study={study}", "callbacks=throughput", "evaluator.bootstrap=200",
        "evaluator.permutations=200", *bench.trainer(devices, "ddp"), *bench.settings(task),
    )  # fmt: skip
    (run,) = (bench.output / "runs" / study).glob(f"*-s{seed}-*")
    result = json.loads((run / "result.json").read_text())
    measured = result["test"]["metrics"]
    scores = pd.read_parquet(run / "predictions" / "test.parquet").sort_values("sample_id")
    ranked = "auroc" if task == "membership" else result["official"]
    return {
        **json.loads((run / THROUGHPUT).read_text()),
        "metric": measured[ranked][0],
        "scores": scores.select_dtypes("number").drop(columns="decision", errors="ignore"),
    }


def forge(bench: Bench, devices: int) -> dict[str, Any]:
    """Forge a benchmark; returns the rate of its fit and the AUC of its leak."""
    place = bench.output / "forged" / f"devices-{devices}"
    words = FORGE if not bench.small else [FORGE[0], *SMALL["forge"]]
    bench.gansfp(
        "forge", *words, f"output={place}", *bench.trainer(devices, "ddp_spawn"), *bench.extra
    )
    card = json.loads((place / "card.json").read_text())
    facts, asked = card["generators"]["generator"], card["request"]["generator"]
    images = facts["steps"] * asked["batch_size"]
    return {
        "images_per_second": images / facts["seconds"],
        "metric": facts["leak"]["auc_nearest"],
    }


def ensemble(bench: Bench, workers: int) -> dict[str, Any]:
    """Run an ensemble's members over the cards (or processes); returns members an hour."""
    study = f"ensemble-{workers}"
    seconds = bench.gansfp(
        "train", "experiment=table3/1782_pseudo_labels", "method.rounds=0", "data.sequester=0",
        f"data.root={bench.data['attribution']}", f"study={study}", "hydra/launcher=local",
        "hydra.launcher.dirty=true", f"hydra.launcher.workers={workers}",
        f"trainer.accelerator={bench.accelerator}", "evaluator.bootstrap=200",
        "evaluator.permutations=200", *bench.settings("ensemble"),
    )  # fmt: skip
    found = list((bench.output / "runs" / study).rglob("result.json"))
    (whole,) = [path for path in found if (path.parent / "model/ensemble.json").is_file()]
    result = json.loads(whole.read_text())
    return {
        "members_per_hour": 3600 * (len(found) - 1) / seconds,
        "metric": result["test"]["metrics"][result["official"]][0],
    }


def rows_of(
    case: str, runs: dict[int, dict[str, Any]], seeds: Sequence[dict[str, Any]] = ()
) -> list[dict]:
    """Lay a case out: rate, efficiency against the smallest count, and what became of the result.

    Args:
        case: Its name.
        runs: What was measured on each number of devices.
        seeds: What was measured on the smallest number with several seeds: `seed_spread` and
            `seed_score_difference` are what another seed changes, beside what devices change.
    """
    values = [one["metric"] for one in seeds]
    spread = round(max(values) - min(values), 4) if len(values) > 1 else None
    tables = [one["scores"].to_numpy() for one in seeds]
    moved = [float(np.abs(one - tables[0]).max()) for one in tables[1:]]
    rate = "images_per_second" if "images_per_second" in next(iter(runs.values())) else None
    rate = rate or "members_per_hour"
    least = min(runs)
    rows = []
    for devices, measured in runs.items():
        share = measured[rate] / runs[least][rate] / (devices / least)
        row = {"case": case, "devices": devices, "unit": rate.replace("_per_", "/")}
        row |= {"rate": round(measured[rate], 2), "efficiency": round(share, 3)}
        row |= {"metric": round(measured["metric"], 4), "seed_spread": spread}
        if "scores" in measured:
            first = runs[least]["scores"].to_numpy()
            row["largest_score_difference"] = float(
                np.abs(measured["scores"].to_numpy() - first).max()
            )
            row["seed_score_difference"] = max(moved, default=None)
        rows.append(row)
    return rows


def main() -> None:
    """Run all cases, print one JSON line each row, and a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", default="1,2", help="numbers of devices, the smallest first")
    parser.add_argument("--accelerator", default="cpu", choices=("cpu", "gpu"))
    parser.add_argument("--cases", default="attribution,membership,forge,ensemble")
    parser.add_argument("--seeds", type=int, default=3, help="on the smallest number, for spread")
    parser.add_argument("--membership", type=Path, help="a benchmark; a toy where none is given")
    parser.add_argument("--attribution", type=Path)
    parser.add_argument("--output", type=Path, default=Path("scaling"))
    parser.add_argument("--small", action="store_true", help="tiny networks, a minute a run")
    parser.add_argument("words", nargs="*", help="further key=value words of every command")
    options = parser.parse_args()
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    data = {"membership": options.membership, "attribution": options.attribution}
    for task, write in (
        ("membership", write_toy_membership), ("attribution", write_toy_attribution),
    ):  # fmt: skip
        if data[task] is None:
            data[task] = output / "toys" / task
            if not data[task].exists():
                write(data[task])
    places = {task: Path(place).resolve() for task, place in data.items()}
    bench = Bench(options.accelerator, output, places, options.small, options.words)
    counts = sorted(int(count) for count in options.devices.split(","))
    table = []
    for case in options.cases.split(","):
        again: list[dict[str, Any]] = []
        if case in RECIPES:
            again = [fit(bench, case, counts[0], seed) for seed in range(options.seeds)]
            runs = {counts[0]: again[0]} | {n: fit(bench, case, n, 0) for n in counts[1:]}
        else:
            runs = {n: (forge if case == "forge" else ensemble)(bench, n) for n in counts}
        for row in rows_of(case, runs, again):
            table.append(row)
            print(json.dumps(row), flush=True)
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    main()
