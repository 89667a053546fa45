"""Ctrl-C and SIGTERM in the middle of a fit: said so, shown in the exit status, and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from toy import write_toy_membership

pytestmark = pytest.mark.slow

GANSFP = str(Path(sys.executable).with_name("gansfp"))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    toy = tmp_path_factory.mktemp("toy")
    write_toy_membership(toy)
    return ["train", "experiment=quickstart/membership_siamese", f"data.root={toy}",
            "data.fold=0", "trainer.max_epochs=30", "trainer.accelerator=cpu",
            "evaluator.bootstrap=100", "evaluator.permutations=100",
            "callbacks.resume.every_n_steps=1", "callbacks.resume.every_seconds=0"]  # fmt: skip


def start(folder: Path, words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [GANSFP, *words], cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        # A test run in the background ignores Ctrl-C, and its children would.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def interrupt(folder: Path, words: list[str], *signals: signal.Signals) -> tuple[int, str]:
    """Send signals in the middle of the fit; give exit status and what was said last."""
    process = start(folder, words)
    end = time.monotonic() + 60
    while not list(folder.rglob("last.ckpt")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    time.sleep(0.1)
    for one in signals:
        process.send_signal(one)
        time.sleep(0.02)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> Path:
    folder = tmp_path_factory.mktemp("calm")
    process = start(folder, words)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    return folder


@pytest.mark.parametrize(
    ("signals", "status"),
    [
        ([signal.SIGINT], 130),
        ([signal.SIGTERM], 143),
        ([signal.SIGINT, signal.SIGINT, signal.SIGINT], 130),
    ],
)
def test_an_interrupted_fit_says_so_and_resumes_to_the_same_numbers(
    tmp_path: Path, calm: Path, words: list[str], signals: list[signal.Signals], status: int
) -> None:
    returned, said = interrupt(tmp_path, words, *signals)
    assert (returned, said) == (status, "gansfp: interrupted; the same command resumes")
    (state,) = tmp_path.rglob("status.json")
    assert json.loads(state.read_text())["state"] == "interrupted"
    left = {path.name for path in state.parent.rglob("*")}
    assert not left & {"result.json", "predictions", "claim.json"}
    process = start(tmp_path, words)
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    assert "resuming from" in said
    tables = [pd.read_parquet(next(f.rglob("test.parquet"))) for f in (calm, tmp_path)]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    results = [json.loads(next(f.rglob("result.json")).read_text()) for f in (calm, tmp_path)]
    assert results[0] == results[1]
