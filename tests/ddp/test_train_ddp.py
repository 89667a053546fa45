"""Two processes, started by the console script as a user would, give one process's table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy import write_toy_membership

pytestmark = [pytest.mark.slow, pytest.mark.ddp]


def table(folder: Path, *words: str) -> pd.DataFrame:
    gansfp = str(Path(sys.executable).with_name("gansfp"))
    done = subprocess.run(
        [gansfp, "train", "experiment=quickstart/membership_siamese", "trainer.accelerator=cpu",
         "trainer.precision=64-true", f"data.root={folder.parent / 'toy'}", *words],
        cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=150,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (found,) = folder.rglob("test.parquet")
    return pd.read_parquet(found)


@pytest.mark.parametrize("trainer", ["ddp", "ddp_spawn"])
def test_two_processes_give_the_table_of_one(tmp_path: Path, trainer: str) -> None:
    write_toy_membership(tmp_path / "toy")
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    alone = table(one, "trainer=cpu")
    shared = table(two, f"trainer={trainer}")
    assert alone["sample_id"].tolist() == shared["sample_id"].tolist()
    # The gradients of two half batches are averaged, so sums round in another order, and training
    # multiplies the difference: in float32 by 20 epochs 0.01 is left of 1e-7, in float64 nothing.
    np.testing.assert_allclose(shared["score"], alone["score"], rtol=0, atol=1e-6)
    assert alone["score"].std() > 1e-3
    assert len(list(two.rglob("result.json"))) == 1
