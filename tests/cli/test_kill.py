"""kill -9 through the console script: the same final numbers, whenever it strikes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from toy import write_toy_membership

pytestmark = pytest.mark.slow

GANSFP = str(Path(sys.executable).with_name("gansfp"))
OFTEN = ["callbacks.resume.every_n_steps=1", "callbacks.resume.every_seconds=0"]


def start(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [GANSFP, *words], cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=(folder / "stderr").open("ab"), start_new_session=True,
    )  # fmt: skip


def finish(folder: Path, *words: str) -> None:
    process = start(folder, *words)
    assert process.wait(120) == 0, (folder / "stderr").read_text()[-3000:]


def kill_when(folder: Path, ready: Callable[[], bool], *words: str) -> None:
    """Start a command and kill it at the first moment that `ready` says so."""
    process = start(folder, *words)
    end = time.monotonic() + 60
    while not ready():
        assert process.poll() is None, "the command ended before it could be killed"
        assert time.monotonic() < end
        time.sleep(0.0005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def checkpoint_written(folder: Path, times: int) -> Callable[[], bool]:
    """Be ready once `last.ckpt` was replaced so many times."""
    seen: set[int] = set()

    def ready() -> bool:
        for path in folder.rglob("last.ckpt"):
            seen.add(path.stat().st_mtime_ns)
        return len(seen) >= times

    return ready


def mid_write(folder: Path) -> Callable[[], bool]:
    """Be ready while a checkpoint is being written."""
    return lambda: any(True for _ in folder.rglob(".last.ckpt.*.tmp"))


def test_train(tmp_path: Path) -> None:
    write_toy_membership(tmp_path / "toy")
    words = ["train", "experiment=quickstart/membership_siamese", f"data.root={tmp_path / 'toy'}",
             "trainer.max_epochs=40", "trainer.accelerator=cpu", *OFTEN]  # fmt: skip
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    finish(calm, *words)
    chance = random.Random(1)
    for _ in range(4):
        kill_when(killed, checkpoint_written(killed, chance.randint(2, 12)), *words)
    kill_when(killed, mid_write(killed), *words)
    assert not list(killed.rglob("result.json"))
    finish(killed, *words)
    (before,) = calm.rglob("test.parquet")
    (after,) = killed.rglob("test.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(before), pd.read_parquet(after), check_exact=True)
    result, again = (json.loads(next(f.rglob("result.json")).read_text()) for f in (calm, killed))
    assert result == again


@pytest.mark.parametrize("generator", ["ddpm_debug", "gan_debug"])
def test_forge(tmp_path: Path, generator: str) -> None:
    write_toy_membership(tmp_path / "toy")
    words = ["forge", f"source.path={tmp_path / 'toy' / 'train' / 'real_used'}", "source.resize=32",
             f"generator={generator}", "generator.steps=40", "benchmark.generated_train=30",
             "benchmark.generated_test=10", "benchmark.test_used=10", "output=made",
             "trainer.accelerator=cpu", *OFTEN]  # fmt: skip
    calm, killed = tmp_path / "calm", tmp_path / "killed"
    calm.mkdir()
    killed.mkdir()
    finish(calm, *words)
    chance = random.Random(2)
    for _ in range(4):
        kill_when(killed, checkpoint_written(killed, chance.randint(2, 8)), *words)
    kill_when(killed, mid_write(killed), *words)
    assert not (killed / "made" / "card.json").exists()
    finish(killed, *words)
    files = {
        folder: {
            str(p.relative_to(folder)): p.read_bytes()
            for p in sorted((folder / "made").rglob("*"))
            if p.is_file() and p.name != "card.json"
        }
        for folder in (calm, killed)
    }
    assert len(files[calm]) > 40
    assert files[calm] == files[killed]
