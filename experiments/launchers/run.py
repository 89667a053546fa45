"""Many small jobs and a few real ones beside them, through both launchers: what does a job cost?

    python experiments/launchers/run.py local OUTPUT [--probes 200] [--fits 5]
    eval "$(python tests/slurm/cluster.py start /tmp/slurm)"
    python experiments/launchers/run.py slurm OUTPUT
    python tests/slurm/cluster.py stop /tmp/slurm

A probe does what a job does and imports no torch. Both launches go on at the same time and run one
job at a time each, so that the time from probe to probe is what a job costs. The row is printed,
and appended to results.csv here.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "helpers"))
from toy import write_toy_membership

HERE = Path(__file__).parent
ONE_AT_A_TIME = {
    "local": ["hydra.launcher.workers=1", "hydra.launcher.threads=1"],
    "slurm": ["hydra.launcher.array_parallelism=1", "hydra.launcher.cores=1",
              "hydra.launcher.poll=0.5"],
}  # fmt: skip
FIT = ["experiment=quickstart/membership_siamese", "trainer.accelerator=cpu",
       "trainer.max_epochs=1", "evaluator.bootstrap=100", "evaluator.permutations=100"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("launcher", choices=sorted(ONE_AT_A_TIME))
    parser.add_argument("output", type=Path)
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--fits", type=int, default=5)
    options = parser.parse_args()
    folder = options.output.resolve() / options.launcher
    folder.mkdir(parents=True)
    write_toy_membership(folder / "toy")
    seconds, load = launch(folder, options.launcher, options.probes, options.fits)
    row = {
        "launcher": options.launcher,
        "probes": options.probes,
        "fits": options.fits,
        **counted(folder, options.probes, options.fits),
        "seconds": f"{seconds:.0f}",
        "load": f"{load:.1f}",
        "processors": os.cpu_count(),
    }
    print(row)
    table = HERE / "results.csv"
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, row, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def launch(folder: Path, launcher: str, probes: int, fits: int) -> tuple[float, float]:
    """Run both launches at once; how long, and the machine's mean load meanwhile."""
    common = [f"hydra/launcher={launcher}", "hydra.launcher.dirty=true", *ONE_AT_A_TIME[launcher]]
    memory = ["hydra.launcher.memory=200"] if launcher == "slurm" else []
    launches = [
        ["probe", *common, *memory, f"seed=range({probes})", "steps=2", "seconds=0"],
        ["train", *common, *FIT, f"seed=range({fits})", f"data.root={folder / 'toy'}"],
    ]
    began, loads = time.monotonic(), []
    children = [
        subprocess.Popen([sys.executable, "-m", "gansfp", *words], cwd=folder) for words in launches
    ]
    while any(child.poll() is None for child in children):
        loads.append(os.getloadavg()[0])
        time.sleep(1)
    if any(child.returncode for child in children):
        raise SystemExit("a launch failed")
    return time.monotonic() - began, sum(loads) / len(loads)


def counted(folder: Path, probes: int, fits: int) -> dict[str, object]:
    """Count what is lost and what is shared, and read the time from probe to probe."""
    facts = read(folder, "runs/probe/probe-*/run.json")
    states = read(folder, "runs/probe/.jobs/*/*/state.json")
    results = read(folder, "runs/probe/probe-*/result.json")
    fitted = read(folder, "runs/default/*/result.json")
    ends = sorted(state["time"] for state in states)
    gaps = sorted(after - before for before, after in itertools.pairwise(ends))
    return {
        "lost": probes - len(results) + fits - len(fitted),
        "shared": probes - len({fact["seed"] for fact in facts}),
        "started_twice": sum(state["starts"] != 1 for state in states),
        "with_torch": sum("threads" in fact for fact in facts),
        "seconds_a_job": f"{(ends[-1] - ends[0]) / (len(ends) - 1):.2f}",
        "median": f"{gaps[len(gaps) // 2]:.2f}",
        "work": f"{sum(state['seconds'] for state in states) / len(states):.2f}",
    }


def read(folder: Path, pattern: str) -> list[dict]:
    return [json.loads(path.read_text()) for path in folder.glob(pattern)]


if __name__ == "__main__":
    main()
