"""Real fits on a real SLURM: stopped in every way, each ends with an undisturbed run's numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .conftest import LAUNCHER, Console, finished, slurm, until

pytestmark = pytest.mark.slurm

FIT = ["experiment=quickstart/membership_siamese", "trainer.accelerator=cpu",
       "trainer.max_epochs=40", "evaluator.bootstrap=100", "evaluator.permutations=100",
       "callbacks.resume.every_n_steps=5", "callbacks.resume.every_seconds=0",
       "callbacks.progress.every_seconds=0.2"]  # fmt: skip
# GANSFP_PROBES=200 GANSFP_FITS=5: the whole measurement, ten minutes.
PROBES, FITS = int(os.environ.get("GANSFP_PROBES", "20")), int(os.environ.get("GANSFP_FITS", "2"))
NAME = "runs/default/quickstart-membership_siamese-s0-*"


@pytest.fixture(scope="module")
def words(toy: Path) -> list[str]:
    return [*FIT, f"data.root={toy}"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> Console:
    console = Console(tmp_path_factory.mktemp("undisturbed"))
    console("train", *words)
    return console


def assert_same_numbers(one: Console, other: Console) -> None:
    tables = [
        pd.read_parquet(next(iter(c.folder.glob(f"{NAME}/predictions/test.parquet"))))
        for c in (one, other)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert one.json(f"{NAME}/result.json") == other.json(f"{NAME}/result.json")


def job_in_its_fit(gansfp: Console) -> str:
    ticket = until(lambda: gansfp.json("runs/default/.jobs/*/0000/ticket.json"))
    until(lambda: gansfp.json(f"{NAME}/progress.json")["step"] >= 15)
    return str(ticket["slurm"])


def test_a_signal_requeues_a_fit_under_one_tracker_id(
    gansfp: Console, undisturbed: Console, words: list[str], wandb_endings
) -> None:
    process = gansfp.start("train", "-m", *LAUNCHER, *words, "logger=[wandb,mlflow]")
    job = job_in_its_fit(gansfp)
    slurm("scancel", "--signal=USR2", job)
    until(lambda: gansfp.json(f"{NAME}/status.json")["state"] == "interrupted")
    (meta,) = until(lambda: list(gansfp.folder.glob("runs/mlruns/*/*/meta.yaml")))
    assert "status: 2" in meta.read_text()  # SCHEDULED
    finished(process)
    assert_same_numbers(gansfp, undisturbed)
    (run,) = gansfp.folder.glob(NAME)
    tracker = json.loads((run / "run.json").read_text())["tracker"]
    assert wandb_endings(run) == [(tracker, 1, True), (tracker, 0, False)]
    assert list(gansfp.folder.glob("runs/mlruns/*/*/meta.yaml")) == [meta]
    assert "status: 3" in meta.read_text()  # FINISHED
    steps = pd.read_csv(run / "metrics.csv")["step"]
    assert steps.is_monotonic_increasing
    assert steps.is_unique


def test_a_killed_fit_is_told_and_the_same_command_ends_it(
    gansfp: Console, undisturbed: Console, words: list[str]
) -> None:
    process = gansfp.start("train", "-m", *LAUNCHER, *words)
    job_in_its_fit(gansfp)
    os.kill(gansfp.json(f"{NAME}/claim.json")["pid"], 9)
    said = finished(process, status=1)
    assert "died without a word: FAILED, SIGKILL" in said
    gansfp.sweep("train", *words)
    assert_same_numbers(gansfp, undisturbed)
    shown = gansfp("status", "runs")
    assert "finished, resumed 1x" in shown
    assert "membership, by kappa" in shown


def test_a_preempted_fit(gansfp: Console, undisturbed: Console, words: list[str]) -> None:
    low = [word for word in LAUNCHER if "partition" not in word] + ["hydra.launcher.cores=2"]
    own = "hydra.launcher.environment={OMP_NUM_THREADS: 1}"  # sums in the order of one thread
    process = gansfp.start("train", "-m", *low, "hydra.launcher.partition=low", own, *words)
    job_in_its_fit(gansfp)
    gansfp("probe", "-m", *low, "hydra.launcher.partition=high", "steps=3")
    finished(process)
    assert gansfp.json(f"{NAME}/status.json")["starts"] == 2
    assert_same_numbers(gansfp, undisturbed)


def test_the_tasks_of_a_job_are_the_ranks_of_a_fit(gansfp: Console, words: list[str]) -> None:
    precise = [*words, "trainer.max_epochs=2", "trainer.precision=64-true"]
    gansfp.sweep("train", *precise, "trainer=ddp", "trainer.accelerator=cpu",
                 "hydra.launcher.memory=4000")  # fmt: skip
    facts = gansfp.json(f"{NAME}/run.json")
    assert facts["slurm"]["SLURM_NTASKS"] == "2"
    assert len(gansfp.jsons(f"{NAME}/result.json")) == 1
    (shared,) = gansfp.folder.glob(f"{NAME}/predictions/test.parquet")
    gansfp("train", *precise, "study=alone")
    (alone,) = gansfp.folder.glob("runs/alone/*/predictions/test.parquet")
    one, two = (pd.read_parquet(path)["score"] for path in (alone, shared))
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-6)  # sums round in another order


def test_many_probes_and_fits_beside_them(gansfp: Console, words: list[str]) -> None:
    """None is lost and no folder is shared; the output says how much a job costs."""
    seeds = ",".join(map(str, range(PROBES)))
    probes = gansfp.start("probe", "-m", *LAUNCHER, f"seed={seeds}", "steps=2", "seconds=0",
                          "study=many", "hydra.launcher.array_parallelism=1",
                          "hydra.launcher.memory=200")  # fmt: skip
    seeds = ",".join(map(str, range(FITS)))
    gansfp.sweep("train", *words, "trainer.max_epochs=1", f"seed={seeds}",
                 "hydra.launcher.array_parallelism=1")  # fmt: skip
    finished(probes, seconds=1200)
    assert len(gansfp.jsons("runs/default/*/result.json")) == FITS
    facts = gansfp.jsons("runs/many/probe-*/run.json")
    assert {f["seed"] for f in facts} == set(range(PROBES))
    assert len({f["slurm"]["SLURM_ARRAY_TASK_ID"] for f in facts}) == PROBES
    states = gansfp.jsons("runs/many/.jobs/*/*/state.json")
    assert {(s["state"], s["starts"]) for s in states} == {("finished", 1)}
    span = max(s["time"] for s in states) - min(s["time"] for s in states)
    print(f"\n{span / (PROBES - 1):.2f} s from probe to probe, one at a time, beside {FITS} fits")
