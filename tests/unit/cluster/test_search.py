"""A search with a memory: sqlite storage, a failing trial, and the same command again."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from gansfp import cli, hydra_errors, jobs
from gansfp.errors import UserError

SEARCH = ["-m", "hydra/sweeper=search", "experiment=beyond/nearest_pixels"]


@pytest.fixture
def gansfp(in_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Run `gansfp train`, whose objective is a parabola with its top at 0.3."""
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    tried: list[float] = []

    def command(config: Any) -> float:
        value = float(config.method.tail)
        tried.append(value)
        if value < 0:
            raise UserError(f"method.tail={value}: told to fail")
        return 1 - (value - 0.3) ** 2

    monkeypatch.setattr(jobs, "run_command_of", command)

    def run(*words: str) -> list[float]:
        tried.clear()
        monkeypatch.setattr(sys, "argv", ["gansfp", "train", *SEARCH, *words])
        cli.main()
        return list(tried)

    return run


def rows(query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect("search.db") as database:
        return database.execute(query).fetchall()


def test_the_memory_is_used_and_the_objective_maximised(gansfp) -> None:
    words = ("+method.tail=interval(0,1)", "hydra.sweeper.n_trials=8", "hydra.sweeper.n_jobs=1",
             "hydra.sweeper.sampler.seed=0")  # fmt: skip
    first = gansfp(*words)
    assert len(first) == 8
    second = gansfp(*words)
    assert rows("select count(*) from trials where state = 'COMPLETE'") == [(16,)]
    best = max(1 - (value - 0.3) ** 2 for value in first + second)
    assert rows("select max(value) from trial_values")[0][0] == pytest.approx(best)
    said = Path("runs/optimization_results.yaml").read_text()
    assert f"best_value: {best}" in said  # the largest, not the smallest


def test_failing_trials_end_nothing_and_are_told(gansfp, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        gansfp("+method.tail=interval(-1,1)", "hydra.sweeper.n_trials=6",
               "hydra.sweeper.sampler.seed=0")  # fmt: skip
    assert stop.value.code == 1
    ended = dict(rows("select state, count(*) from trials group by state"))
    assert sum(ended.values()) == 6
    assert min(ended["COMPLETE"], ended["FAIL"]) >= 1
    said = capsys.readouterr().err
    assert "told to fail" in said
    assert f"{ended['FAIL']} of 6 jobs failed" in said


def test_where_all_fail_the_reason_is_told(gansfp, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        gansfp("+method.tail=choice(-1,-2)", "hydra.sweeper.n_trials=2")
    assert stop.value.code == 1
    assert "2 of 2 jobs failed" in capsys.readouterr().err


def test_without_the_extra_its_name_is_told() -> None:
    from hydra.errors import MissingConfigException

    missing = MissingConfigException(
        "In 'hydra/sweeper/search': Could not find 'hydra/sweeper/optuna'", "hydra/sweeper/optuna"
    )
    worded = hydra_errors.reword(missing, "train", SEARCH)
    assert "Optuna is not installed; pip install 'gansfp[optuna]'" in str(worded)
