"""Take archives of ImageCLEF's size through every command, and measure time and memory.

    python experiments/contest_shape/run.py [OUTPUT] [--divide N] [--task TASK] [--only WORD]

Both archives are drawn by a program (256x256 palette PNG): membership has 5,000 + 2,000 generated,
200 labelled and 500 unknown real images; attribution 25,000 unknown images. Then `gansfp inspect`,
every recipe of conf/experiment for one optimiser step (`debug=step`) and `gansfp predict`, each in
a process of its own, to OUTPUT/results.csv. Networks start at random where a recipe would fetch
weights: time and memory are the same, and no network is needed. Archives that are there are kept,
runs are repeated.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from hydra import compose, initialize_config_dir

from gansfp.cli import config_folder

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "helpers"))
from toy import (
    AttributionCounts,
    MembershipCounts,
    write_toy_attribution,
    write_toy_membership,
)

TASKS = ("membership", "attribution")
FIELDS = (
    "task",
    "step",
    "experiment",
    "seconds",
    "cpu_seconds",
    "peak_gb",
    "own_peak_gb",
    "status",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path, nargs="?", default=Path("contest-shape-output"))
    parser.add_argument("--divide", type=int, default=1, help="so many times fewer images")
    parser.add_argument("--task", choices=TASKS, help="only this task")
    parser.add_argument("--only", default="", help="only steps and recipes that hold this word")
    parser.add_argument("--make", choices=TASKS, help="draw one archive and end")
    options = parser.parse_args()
    if options.make:
        make_archive(options.output, options.make, options.divide)
        return
    output = options.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    with (output / "results.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, FIELDS, lineterminator="\n")
        table.writeheader()
        for task in TASKS:
            if options.task not in (None, task):
                continue
            for row in steps(output, task, options.divide, options.only):
                table.writerow({"task": task, **row})
                stream.flush()
                print({"task": task, **row}, flush=True)


def make_archive(output: Path, task: str, divide: int) -> None:
    """Draw one archive; the training counts of attribution are not published: ours."""
    folder = output / task
    if task == "membership":
        counts = MembershipCounts(100 // divide, 250 // divide, 5000 // divide, 2000 // divide)
        write_toy_membership(folder, size=256, counts=counts)
    else:
        each = AttributionCounts(200 // divide, 1000 // divide, 5000 // divide)
        write_toy_attribution(folder, size=256, counts=each)


def steps(output: Path, task: str, divide: int, only: str):
    """Measure one command after the other."""
    script = [sys.executable, __file__, str(output), "--divide", str(divide), "--make", task]
    if only in "archive":
        yield {"step": "archive", **measure(script, output)}
    data, runs = output / task, output / "runs"
    if only in "inspect":
        shutil.rmtree(output / "cache", ignore_errors=True)  # files are decoded here, once
        sheet = output / f"{task}.png"
        words = ["inspect", str(data), f"task={task}", f"output={sheet}"]
        yield {"step": "inspect", **measure(gansfp(*words), output)}
    for experiment in experiments(task):
        if only not in experiment:
            continue
        study = experiment.replace("/", "-")
        shutil.rmtree(runs / study, ignore_errors=True)
        words = ["train", f"experiment={experiment}", "debug=step", f"data.root={data}", "seed=0",
                 f"study={study}", f"paths.runs={runs}",
                 "networks.weights=none"]  # fmt: skip
        if experiment.endswith("features"):
            words.append(f"method.representation.cache_dir={output / 'cache/embeddings'}")
        yield {"step": "train", "experiment": experiment, **measure(gansfp(*words), output)}
        found = [result.parent for result in (runs / study).rglob("result.json")]
        for run in found:
            words = ["predict", str(run)]
            yield {"step": "predict", "experiment": experiment, **measure(gansfp(*words), output)}


def gansfp(*words: str) -> list[str]:
    return [sys.executable, "-m", "gansfp", *words]


def experiments(task: str) -> list[str]:
    """List the recipes of a task."""
    folder = config_folder()
    paths = sorted((folder / "experiment").rglob("*.yaml"))
    names = [str(path.relative_to(folder / "experiment").with_suffix("")) for path in paths]
    with initialize_config_dir(str(folder), version_base="1.3"):
        found = {
            name: compose("train", [f"experiment={name}", "data.root=x"]).task for name in names
        }
    return [name for name, of in found.items() if of == task]


def measure(command: list[str], output: Path) -> dict[str, object]:
    """Run a command.

    Returns:
        Wall and CPU seconds; the largest resident memory, in GB, and that without mapped files (the
        pixel cache is one; the kernel takes its pages back where memory is short).
    """
    environment = {**os.environ, "XDG_CACHE_HOME": str(output / "cache")}
    start, own = time.monotonic(), 0
    with (output / "log.txt").open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            own = max(own, anonymous_bytes(process.pid))
            time.sleep(0.1)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "seconds": round(time.monotonic() - start, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gb": round(usage.ru_maxrss * 1024 / 1e9, 2),
        "own_peak_gb": round(own / 1e9, 2),
        "status": process.returncode,
    }


def anonymous_bytes(pid: int) -> int:
    """Read the resident memory that is no mapped file (Linux)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    kilobytes = [line.split()[1] for line in lines if line.startswith("RssAnon")]
    return int(kilobytes[0]) * 1024 if kilobytes else 0


if __name__ == "__main__":
    main()
