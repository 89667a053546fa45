"""Leaderboards from run folders."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
from rich.console import Console

from gansfp.commands import report
from gansfp.errors import UserError
from gansfp.evaluation.leaderboard import leaderboard, render


def _write(root, experiment, seed, kappa, *, valid=True, published=None, test=True, **extra):
    folder = root / "study" / f"{experiment}-s{seed}-00000000"
    folder.mkdir(parents=True)
    names = ("kappa", "accuracy", "auroc", "tpr_at_1fpr", "tpr_at_10fpr")
    measured = {
        "n": 10,
        "metrics": {name: [kappa, kappa - 0.1, kappa + 0.1] for name in names},
        "chance": {"kappa": 0.01 * (seed + 1)},
        "confusion": {},
    }
    result = {
        "test": measured if test else None,
        "validation": measured,
        "valid": valid,
        "invalid_reason": None if valid is not False else "blind 0.9",
        "transductive": False,
    }
    run = {
        "experiment": experiment,
        "task": "membership",
        "seed": seed,
        "study": "study",
        "published_run": published,
    }
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "result.json").write_text(json.dumps(result | extra))
    return folder


def _config(folder):
    return SimpleNamespace(dir=str(folder), members=False, output=None, figures=False)


def _text(table):
    console = Console(width=240, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_seeds_are_joined_and_experiments_ranked(tmp_path):
    for seed, kappa in enumerate((0.1, 0.2, 0.3)):
        _write(tmp_path, "siamese", seed, kappa, published="1696")
    _write(tmp_path, "nearest", 0, 0.5)
    frame = leaderboard(tmp_path)
    assert frame["experiment"].tolist() == ["nearest", "siamese"]
    assert frame["seeds"].tolist() == [1, 3]
    siamese = frame.iloc[1]
    assert (siamese["kappa"], siamese["kappa_low"], siamese["kappa_high"]) == pytest.approx(
        (0.2, 0.1, 0.3)
    )
    assert siamese["p"] == pytest.approx(0.03)
    assert siamese["published"] == 0.036
    nearest = frame.iloc[0]
    assert (nearest["kappa_low"], nearest["kappa_high"]) == pytest.approx((0.4, 0.6))


def test_one_invalid_seed_marks_the_row_and_no_controls_say_unchecked(tmp_path):
    _write(tmp_path, "bad", 0, 0.3)
    _write(tmp_path, "bad", 1, 0.3, valid=False)
    _write(tmp_path, "none", 0, 0.2, valid=None)
    _write(tmp_path, "good", 0, 0.1, transductive=True)
    frame = leaderboard(tmp_path)
    text = _text(render(frame))
    lines = {
        name: next(row for row in text.splitlines() if name in row) for name in frame["experiment"]
    }
    assert "INVALID" in lines["bad"]
    assert "unchecked" in lines["none"]
    assert "VALID" in lines["good"]


def test_transductive_results_have_their_own_column_and_come_after(tmp_path):
    _write(tmp_path, "pool", 0, 0.9, transductive=True)
    _write(tmp_path, "alone", 0, 0.2)
    frame = leaderboard(tmp_path)
    assert frame["experiment"].tolist() == ["alone", "pool"]
    head, _, alone, pool, *_ = _text(render(frame)).splitlines()[2:]
    inductive, transductive = head.index(" kappa"), head.index("transductive")
    assert alone.index("0.200 [") < transductive < pool.index("0.900 [") + 20
    assert pool[inductive - 10 : inductive + 6].strip() == ""
    assert alone[transductive : transductive + 12].strip() == ""
    assert "paper" not in head


def test_columns_that_no_row_fills_are_left_out(tmp_path):
    _write(tmp_path, "alone", 0, 0.2, published="1696")
    text = _text(render(leaderboard(tmp_path)))
    assert "transductive" not in text
    assert "paper" in text
    (tmp_path / "other").mkdir()
    _write(tmp_path / "other", "pool", 0, 0.9, transductive=True)
    head = _text(render(leaderboard(tmp_path / "other"))).splitlines()[2]
    assert "transductive" in head
    assert "kappa" not in head


def test_validation_results_rank_below_test_results(tmp_path):
    _write(tmp_path, "a", 0, 0.9, test=False)
    _write(tmp_path, "b", 0, 0.1)
    frame = leaderboard(tmp_path)
    assert frame["experiment"].tolist() == ["b", "a"]
    assert "a *" in _text(render(frame))


def test_broken_runs_are_counted_and_old_ones_passed_over(tmp_path, capsys):
    _write(tmp_path, "fine", 0, 0.2)
    (_write(tmp_path, "torn", 0, 0.2) / "result.json").write_text('{"test": ')
    (_write(tmp_path, "lost", 0, 0.2) / "run.json").unlink()
    (_write(tmp_path, "odd", 0, 0.2) / "result.json").write_text("{}")
    old = _write(tmp_path, "old", 0, 0.2)
    old.rename(old.with_name(old.name + ".old-20250101-000000"))
    frame = leaderboard(tmp_path)
    assert frame["experiment"].tolist() == ["fine"]
    assert frame.attrs["broken"] == 3
    report.run(_config(tmp_path))
    printed = capsys.readouterr().out
    assert "membership, by kappa" in printed
    assert "attribution" not in printed
    assert "3 broken results skipped" in printed
    assert printed.endswith(f"page: {tmp_path / 'report.html'}\n")
    # Runs without tables or configuration have their numbers all the same.
    page = (tmp_path / "report.html").read_text()
    assert "3 broken results were skipped" in page
    assert "fine" in page


def test_report_without_runs_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match="no finished run"):
        report.run(_config(tmp_path))
    with pytest.raises(UserError, match="no such folder"):
        report.run(_config(tmp_path / "none"))
