"""The corrected p of a leaderboard, from run folders."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from gansfp.evaluation.family import corrected_p
from gansfp.evaluation.leaderboard import leaderboard, render
from gansfp.evaluation.metrics import encode
from gansfp.evaluation.multiplicity import accuracy_max_t, kappa_max_t
from gansfp.tables import write_table

N = 60
NAMES = [f"test/real_unknown/{k}.png" for k in range(N)]


@pytest.fixture
def benchmark(tmp_path):
    """Truth of sixty images, by the folder that holds their benchmark."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat([1, 0], N // 2))
    (tmp_path / "data" / "Test set").mkdir(parents=True)
    lines = [f"{name.rsplit('/')[-1]},{label}" for name, label in zip(NAMES, truth, strict=True)]
    (tmp_path / "data" / "Test set" / "labels.csv").write_text("\n".join(lines))
    return tmp_path / "data", truth


def _run(root, experiment, decision, data, groups=None, study="study", seed=0):
    folder = root / "runs" / study / f"{experiment}-s{seed}-0"
    table = pd.DataFrame({"sample_id": NAMES, "group": groups or NAMES, "decision": decision})
    write_table(
        table.sample(frac=1, random_state=len(experiment)), folder / "predictions" / "test.parquet"
    )
    (folder / "config.yaml").write_text(f"truth: null\ndata: {{root: '{data}', test_dir: null}}\n")
    run = {"task": "membership", "experiment": experiment, "seed": seed, "study": study}
    (folder / "run.json").write_text(json.dumps(run))
    test = {"metrics": {"kappa": [0.1, 0.0, 0.2]}, "chance": {"kappa": 0.001}}
    result = {"test": test, "valid": True, "invalid_reason": None, "transductive": False}
    (folder / "result.json").write_text(json.dumps(result))
    return folder


@pytest.mark.parametrize("grouped", [False, True])
def test_runs_of_one_benchmark_are_corrected_together(tmp_path, benchmark, grouped):
    data, truth = benchmark
    rng = np.random.default_rng(1)
    groups = [f"p{k // 2}" for k in range(N)] if grouped else None
    decisions = np.where(rng.random((3, N)) < 0.3, truth, rng.integers(0, 2, (3, N)))
    folders = [_run(tmp_path, f"m{k}", row, data, groups) for k, row in enumerate(decisions)]
    order = np.argsort(NAMES)
    expected = kappa_max_t(
        truth[order], decisions[:, order], None if groups is None else np.array(groups)[order]
    ).adjusted
    assert corrected_p(folders) == pytest.approx(dict(zip(folders, expected, strict=True)))


def test_the_leaderboard_has_the_column_and_the_largest_over_seeds(tmp_path, benchmark):
    data, truth = benchmark
    rng = np.random.default_rng(2)
    wrong = rng.integers(0, 2, N)
    _run(tmp_path, "right", truth, data)
    folders = [_run(tmp_path, "mixed", row, data, seed=k) for k, row in enumerate((truth, wrong))]
    _run(tmp_path, "alone", truth, data, study="other")
    frame = leaderboard(tmp_path / "runs").set_index("experiment")
    assert frame.loc["right", "p_corrected"] == 0.001  # never below the p-value of the run itself
    all_of_study = corrected_p([*folders, tmp_path / "runs" / "study" / "right-s0-0"])
    assert frame.loc["mixed", "p_corrected"] == pytest.approx(all_of_study[folders[1]])
    assert frame.loc["mixed", "p_corrected"] > 0.05
    assert np.isnan(frame.loc["alone", "p_corrected"])
    table = render(frame.reset_index())
    assert "p max-T" in [column.header for column in table.columns]
    assert "max-T" in table.caption


def _attribution_run(root, experiment, decision, data, classes, study="study"):
    folder = _run(root, experiment, decision, data, study=study)
    table = pd.DataFrame({"sample_id": NAMES, "group": NAMES, "decision": decision})
    for name in classes:
        table[f"p_{name}"] = (table["decision"] == name).astype(float)
    write_table(table, folder / "predictions" / "test.parquet")
    run = {"task": "attribution", "experiment": experiment, "seed": 0, "study": study}
    (folder / "run.json").write_text(json.dumps(run))
    test = {"metrics": {"accuracy": [0.4, 0.3, 0.5]}, "chance": {"accuracy": 0.001}}
    result = {"test": test, "valid": True, "invalid_reason": None, "transductive": False}
    (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_attribution_runs_are_corrected_by_their_accuracy(tmp_path, benchmark):
    data, _ = benchmark
    rng = np.random.default_rng(3)
    classes = ("t1", "t2", "t3")
    truth = np.array(classes, dtype=object)[rng.permutation(np.arange(N) % 3)]
    lines = [f"{name.rsplit('/')[-1]},{label}" for name, label in zip(NAMES, truth, strict=True)]
    (data / "Test set" / "labels.csv").write_text("\n".join(lines))
    guesses = rng.choice(np.array(classes, dtype=object), (3, N))
    decisions = [np.where(rng.random(N) < 0.1 * k, truth, row) for k, row in enumerate(guesses)]
    folders = [
        _attribution_run(tmp_path, f"a{k}", row, data, classes) for k, row in enumerate(decisions)
    ]
    order = np.argsort(NAMES)
    expected = accuracy_max_t(
        encode(truth[order], classes),
        np.stack([encode(row[order], classes) for row in decisions]),
        3,
    ).adjusted
    found = corrected_p(folders, "attribution")
    assert found == pytest.approx(dict(zip(folders, expected, strict=True)))
    frame = leaderboard(tmp_path / "runs").set_index("experiment")
    assert frame.loc["a2", "p_corrected"] == pytest.approx(max(expected[2], 0.001))
    table = render(frame.reset_index(), "attribution")
    assert "p max-T" in [column.header for column in table.columns]
    stranger = _attribution_run(tmp_path, "b", np.full(N, "t9"), data, classes)
    assert corrected_p([*folders, stranger], "attribution") == {}


def test_what_can_not_be_corrected_is_left_out(tmp_path, benchmark):
    data, truth = benchmark
    folders = [_run(tmp_path, f"m{k}", truth, data) for k in range(2)]
    moved = _run(tmp_path, "moved", truth, tmp_path / "gone")
    torn = _run(tmp_path, "torn", truth, data)
    (torn / "predictions" / "test.parquet").unlink()
    assert set(corrected_p([*folders, moved, torn])) == set(folders)
    assert corrected_p(folders[:1]) == {}
    (data / "Test set" / "labels.csv").write_text("0.png,1\n")
    assert corrected_p(folders) == {}
