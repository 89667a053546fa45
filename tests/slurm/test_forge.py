"""A bank of shadow generators, forged by two jobs of which one is killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .conftest import LAUNCHER, Console, finished, until

pytestmark = pytest.mark.slurm

BANK = ["bank=2", "benchmark.generated=8", "generator=ddpm_debug", "generator.steps=60",
        "source.resize=32", "trainer.accelerator=cpu", "trainer.precision=64-true",
        "card.kid=false", "callbacks.resume.every_n_steps=10",
        "callbacks.resume.every_seconds=0"]  # fmt: skip


def pictures(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".png", ".csv")
    }


def test_workers_share_a_bank_and_the_same_command_mends_it(gansfp: Console, toy: Path) -> None:
    words = [*BANK, f"source.path={toy / 'train' / 'real_used'}"]
    shared = [*LAUNCHER, *words, "output=shared", "worker=0,1"]
    process = gansfp.start("forge", *shared)
    saved = "shared.partial/generators/*/checkpoints/last.ckpt"
    until(lambda: list(gansfp.folder.glob(saved)), 240)
    claims = list(gansfp.folder.glob("shared.partial/generators/*/claim.json"))
    os.kill(gansfp.json(str(claims[0].relative_to(gansfp.folder)))["pid"], 9)
    said = finished(process, status=1, seconds=480)
    assert "died without a word: FAILED, SIGKILL" in said
    assert "1 of 2 jobs failed" in said
    gansfp("forge", *shared)
    assert not (gansfp.folder / "shared.partial").exists()
    gansfp("forge", *words, "output=alone")
    assert pictures(gansfp.folder / "shared") == pictures(gansfp.folder / "alone")
    assert len(pictures(gansfp.folder / "alone")) > 16
    assert "skipped" in gansfp("forge", *words, "output=shared")
