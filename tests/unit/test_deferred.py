"""Values of a sweep that only some of its recipes know."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import pytest

from gansfp import cli, jobs
from gansfp.deferred import left_to_the_jobs


def test_what_is_left_to_the_jobs() -> None:
    given = ["-m", "experiment=a,b", "seed=1", "method.k=3", "method.x=1,2", "+method.y=[1,2]",
             "method.d={a: 1}", "data.fold=null", "method.s='a, b'", "method.e=",
             "method.r=range(3)", "backbone@method.backbone=lite0", "data.root='/x, y'",
             "paths.runs=r", "hydra.launcher.dirty=true", "~method.k"]  # fmt: skip
    changed = {
        "method.k=3": "method.k=choice(3)",
        "+method.y=[1,2]": "+method.y=choice([1,2])",
        "method.d={a: 1}": "method.d=choice({a: 1})",
        "method.s='a, b'": "method.s=choice('a, b')",
        "backbone@method.backbone=lite0": "backbone@method.backbone=choice(lite0)",
    }
    assert left_to_the_jobs(given) == [changed.get(word, word) for word in given]
    searched = ["-m", "hydra/sweeper=optuna", "method.k=3"]
    assert left_to_the_jobs(searched) == searched


@pytest.fixture
def gansfp(in_folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    ran: list[Any] = []
    monkeypatch.setattr(jobs, "run_command_of", ran.append)

    def run(*words: str) -> tuple[list[Any], str]:
        ran.clear()
        monkeypatch.setattr(sys, "argv", ["gansfp", "train", "-m", *words])
        with contextlib.suppress(SystemExit):
            cli.main()
        return ran, capsys.readouterr().err

    return run


def test_a_key_that_the_default_method_lacks(gansfp) -> None:
    recipes = "quickstart/membership_distance,beyond/nearest_ncc"  # the default is a Siamese
    ran, _ = gansfp(f"experiment={recipes}", "method.k=7", "seed=0,1")
    assert [(c.seed, c.method.k) for c in ran] == [(0, 7), (1, 7)] * 2
    ran, _ = gansfp("sweep=demo_membership", "evaluator.controls='none'")
    assert {config.evaluator.controls for config in ran} == {"none"}


def test_a_key_that_one_recipe_lacks_starts_no_job(gansfp) -> None:
    ran, said = gansfp("experiment=quickstart/membership_siamese,beyond/nearest_ncc",
                       "method.margin=3")  # fmt: skip
    assert ran == []
    assert "method.margin: unknown key in experiment=beyond/nearest_ncc (" in said
    ran, said = gansfp("experiment=beyond/nearest_ncc", "method.statistik=3", "seed=0,1")
    assert ran == []
    assert "method.statistik: unknown key; did you mean method.statistic?" in said
