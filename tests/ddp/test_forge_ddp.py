"""A forge on two processes writes what it writes on one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy import write_toy_membership

pytestmark = [pytest.mark.slow, pytest.mark.ddp]


def forge(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    gansfp = str(Path(sys.executable).with_name("gansfp"))
    return subprocess.run(
        [gansfp, "forge", f"source.path={folder.parent / 'toy' / 'train' / 'real_used'}",
         "source.resize=32", "generator.steps=10", "benchmark.generated_train=12",
         "benchmark.generated_test=4", "output=made", "trainer.accelerator=cpu",
         "trainer.precision=64-true", *words],
        cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=150,
    )  # fmt: skip


def pictures(folder: Path) -> dict[str, np.ndarray]:
    files = sorted((folder / "made").rglob("*.png"))
    return {
        str(file.relative_to(folder)): np.asarray(Image.open(file).convert("L")).astype(int)
        for file in files
    }


@pytest.mark.parametrize("generator", ["ddpm_debug", "gan_debug"])
def test_two_processes_forge_what_one_does(tmp_path: Path, generator: str) -> None:
    write_toy_membership(tmp_path / "toy")
    for name, trainer in (("one", "cpu"), ("two", "ddp_spawn")):
        done = forge(tmp_path / name, f"generator={generator}", f"trainer={trainer}")
        assert done.returncode == 0, done.stderr[-3000:]
    alone, shared = pictures(tmp_path / "one"), pictures(tmp_path / "two")
    assert alone.keys() == shared.keys()
    assert len(alone) > 40
    # Sums round in another order: here and there a grey level falls to the other side.
    differences = np.concatenate([(alone[name] - shared[name]).ravel() for name in alone])
    assert np.abs(differences).max() <= 1
    assert (differences != 0).mean() < 0.001
    spread = np.concatenate([alone[name].ravel() for name in alone if "generated" in name]).std()
    assert spread > 5


def test_processes_that_would_forge_again_are_refused(tmp_path: Path) -> None:
    write_toy_membership(tmp_path / "toy")
    done = forge(tmp_path / "one", "generator=gan_debug", "trainer=ddp")
    assert done.returncode != 0
    assert "set trainer=ddp_spawn" in done.stderr
    assert "Traceback" not in done.stderr
    done = forge(tmp_path / "two", "generator=gan_debug", "trainer=ddp_spawn",
                 "generator.batch_size=3")  # fmt: skip
    assert "generator.batch_size=3: must be a multiple of the 2 devices" in done.stderr
