"""Predicts another test folder of a benchmark with every finished run of a study.

python experiments/table3/others.py runs/STUDY DIR test_B

What `gansfp predict run=RUN data.root=DIR data.test_dir=DIR/test_B output=RUN/test_B` writes, in
one process; runs that have it are skipped. Members of an ensemble are asked by it alone.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from hydra import compose, initialize_config_dir

from gansfp.arguments import quote
from gansfp.cli import config_folder
from gansfp.commands import predict
from gansfp.data.embedded import resolve
from gansfp.evaluation.leaderboard import leaderboard


def main(study: str, root: str, test: str) -> None:
    """Predict with every run that a leaderboard shows."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    places = Path(str(resolve(root)))
    if not (places / test).is_dir():
        print(f"{root}: has no {test}/")
        return
    for folder in (run for runs in leaderboard(Path(study))["folders"] for run in runs):
        output = Path(folder) / test
        if (output / "test.parquet").is_file():
            continue
        paths = {"run": folder, "data.root": places, "data.test_dir": places / test}
        words = [f"{key}={quote(str(path))}" for key, path in (paths | {"output": output}).items()]
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = compose("predict", words)
        predict.run(config)
        print(f"{output}: done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
