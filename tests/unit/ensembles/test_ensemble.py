"""Ensembles through the console script, with members that take no time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from toy import AttributionCounts, write_toy_attribution

from gansfp import cli
from gansfp.commands import train
from gansfp.ensembles.ensemble import Ensemble
from gansfp.ensembles.members import Recipe, write_out
from gansfp.ensembles.record import Voter
from gansfp.ensembles.stacking import Stack
from gansfp.ensembles.voting import vote
from gansfp.errors import UserError
from gansfp.evaluation.leaderboard import leaderboard
from gansfp.runtime.claims import Claim
from gansfp.tables import read_table

QUICK = ["evaluator.bootstrap=20", "evaluator.permutations=20", "evaluator.controls=none"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "toy"
    write_toy_attribution(folder)
    return folder


@pytest.fixture
def gansfp(toy: Path, in_folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Run `gansfp train` on the toy; the fits that really took place are counted."""
    fits: list[str] = []
    fit = train._fit
    monkeypatch.setattr(
        train, "_fit", lambda c, f, *rest: fits.append(f.folder.name) or fit(c, f, *rest)
    )

    def run(*words: str, command: str = "train") -> list[str]:
        fits.clear()
        argv = ["gansfp", command, *words, f"data.root={toy}", *QUICK]
        monkeypatch.setattr(sys, "argv", argv)
        cli.main()
        return list(fits)

    return run


VOTE = ["task=attribution", "method=ensemble", "experiment_name=vote",
        "method.members=['experiment=quickstart/attribution_distance']",
        "method.grid={method.k:[1,3,5]}"]  # fmt: skip


def the_run(folder: Path, name: str) -> Path:
    (found,) = (folder / "runs").glob(f"*/{name}-s*")
    return found


def config_of(run: Path) -> dict[str, Any]:
    return yaml.safe_load((run / "config.yaml").read_text())


def test_words_of_the_grid() -> None:
    found = write_out(["experiment=a x=1", "experiment=b"], ["b0", "b1"], {"method.lr": [0.1]})
    assert found == [
        Recipe(recipe, (f"backbone@method.backbone={name}", "method.lr=0.1"))
        for recipe in (("experiment=a", "x=1"), ("experiment=b",))
        for name in ("b0", "b1")
    ]
    grid = {"method.lr": [3e-5, 1e-4, 3e-4], "data.sampling.batch_size": [16, 32, 64]}
    assert len(write_out(["experiment=a"], ["b0", "b1", "b2"], grid)) == 27


@pytest.mark.slow
def test_members_run_once_vote_by_their_tables_and_are_never_fitted_again(
    gansfp, in_folder: Path
) -> None:
    assert len(gansfp(*VOTE)) == 4
    run = the_run(in_folder, "vote")
    record = json.loads((run / "model" / "ensemble.json").read_text())
    (only,) = record["rounds"]
    members = [Path(voter["run"]) for voter in only["voters"]]
    assert [yaml.safe_load((m / "config.yaml").read_text())["method"]["k"] for m in members] == [
        1,
        3,
        5,
    ]
    tables = [read_table(member / "predictions" / "test.parquet") for member in members]
    found = read_table(run / "predictions" / "test.parquet").set_index("sample_id")
    shares = pd.DataFrame(vote(tables), index=tables[0]["sample_id"])
    np.testing.assert_allclose(
        found[[c for c in found if c.startswith("p_")]], shares.loc[found.index]
    )
    held_out = read_table(run / "predictions" / "validation.parquet").set_index("sample_id")
    votes = [read_table(m / "predictions" / "validation.parquet") for m in members]
    chosen = [t.set_index("sample_id").loc[held_out.index].reset_index() for t in votes]
    assert held_out["decision"].tolist() == [f"t{k + 1}" for k in vote(chosen).argmax(axis=1)]
    assert gansfp(*VOTE) == []
    result = run / "result.json"
    before = result.read_text()
    result.unlink()
    assert gansfp(*VOTE) == [run.name]  # the members' results are there
    assert json.loads(result.read_text()) == json.loads(before)
    (members[1] / "result.json").unlink()
    result.unlink()
    assert sorted(gansfp(*VOTE)) == sorted([run.name, members[1].name])
    wider = [*VOTE[:-1], "method.grid={method.k:[1,3,5,7]}"]
    assert len(gansfp(*wider)) == 2


def test_the_command_line_goes_on_to_the_members_and_seeds_never_meet(gansfp, in_folder) -> None:
    words = [
        *VOTE[:-1],
        "method.replicas=2",
        "data.fold=1",
        "study=other",
        "method.overrides='method.k=9'",
    ]
    gansfp(*words, "seed=0")
    gansfp(*words, "seed=1")
    configs = [
        yaml.safe_load((path / "config.yaml").read_text())
        for path in (in_folder / "runs" / "other").glob("quickstart*")
    ]
    assert sorted((c["seed"], c["data"]["split_seed"]) for c in configs) == [
        (0, 0),
        (1, 0),
        (2, 1),
        (3, 1),
    ]
    assert {(c["data"]["fold"], c["method"]["k"]) for c in configs} == {(1, 9)}


def test_a_failing_member_is_named_and_the_others_are_kept(gansfp, in_folder: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        gansfp(*VOTE[:-1], "method.grid={method.k:[1,100000]}")
    said = capsys.readouterr().err
    assert "members failed" in said
    assert "method.k=100000" in said
    states = [json.loads(p.read_text())["state"] for p in (in_folder / "runs").rglob("status.json")]
    assert sorted(states) == ["failed", "failed", "finished"]


def test_a_member_that_runs_elsewhere_is_waited_for(
    gansfp, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gansfp(*VOTE)
    run = the_run(in_folder, "vote")
    record = json.loads((run / "model" / "ensemble.json").read_text())
    busy = Path(record["rounds"][0]["voters"][0]["run"])
    (busy / "result.json").rename(busy / "kept.json")
    (run / "result.json").unlink()
    claim = Claim(busy)
    claim.__enter__()

    def finish_elsewhere(seconds: float) -> None:
        (busy / "kept.json").rename(busy / "result.json")
        claim.__exit__(None, None, None)

    monkeypatch.setattr("gansfp.ensembles.launching.time.sleep", finish_elsewhere)
    assert gansfp(*VOTE) == [run.name]


def test_a_member_that_does_not_compose_is_named(gansfp, capsys) -> None:
    with pytest.raises(SystemExit):
        gansfp(*VOTE[:-1], "method.overrides='method.kk=3'")
    assert "method.members: method.kk" in capsys.readouterr().err


def test_ddp_by_script_is_refused_and_names_the_cures(gansfp, capsys) -> None:
    with pytest.raises(SystemExit):
        gansfp(*VOTE, "trainer=ddp")
    assert "take trainer=ddp_spawn" in capsys.readouterr().err
    assert len(gansfp(*VOTE, "trainer=ddp_spawn")) == 4  # nothing here is trained


def test_pseudo_labels_reach_the_members_and_say_so(gansfp, in_folder: Path) -> None:
    fitted = gansfp(*VOTE, "data.sequester=0.2", "method.rounds=1", "method.agreement=0.6")
    assert len(fitted) == 7  # two rounds of three, and the ensemble
    run = the_run(in_folder, "vote")
    first, second = json.loads((run / "model" / "ensemble.json").read_text())["rounds"]
    assert 0 <= first["sequestered"] <= 1
    assert second["labelled"] > 0
    member = Path(second["voters"][0]["run"])
    assert json.loads((member / "result.json").read_text())["transductive"] is True
    result = json.loads((run / "result.json").read_text())
    assert result["transductive"] is second["kept"]
    assert gansfp(*VOTE, "data.sequester=0.2", "method.rounds=1", "method.agreement=0.6") == []


def test_finished_runs_can_vote(gansfp, in_folder: Path, toy: Path) -> None:
    for k in (1, 5):
        gansfp("experiment=quickstart/attribution_distance", f"method.k={k}", "study=mine")
    assert (
        len(gansfp(str(in_folder / "runs" / "mine"), "task=attribution", command="ensemble")) == 1
    )
    (run,) = (in_folder / "runs" / "default").glob("*")
    record = json.loads((run / "model" / "ensemble.json").read_text())
    assert len(record["rounds"][0]["voters"]) == 2


def test_other_images_are_predicted_by_the_members(
    gansfp, in_folder: Path, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gansfp(*VOTE)
    run = the_run(in_folder, "vote")
    others = in_folder / "others"
    write_toy_attribution(others, counts=AttributionCounts(real=8, train=8, test=12), seed=5)

    def predict(folder: Path, output: str) -> pd.DataFrame:
        argv = ["gansfp", "predict", str(folder), f"data.root={toy}"]
        argv += [f"data.test_dir={others / 'test'}", f"output={output}"]
        monkeypatch.setattr(sys, "argv", argv)
        cli.main()
        return read_table(in_folder / output / "test.parquet")

    (first,) = json.loads((run / "model" / "ensemble.json").read_text())["rounds"]
    tables = [predict(Path(v["run"]), f"m{n}") for n, v in enumerate(first["voters"])]
    found = predict(run, "out")
    assert len(found) == 60
    np.testing.assert_allclose(found[[c for c in found if c.startswith("p_")]], vote(tables))


def test_variants_that_only_vote_are_not_in_the_leaderboard(gansfp, in_folder: Path) -> None:
    gansfp(*VOTE)
    shown = leaderboard(in_folder / "runs")
    # k=1 is what the recipe says: this member is the recipe's own run.
    assert sorted(shown["experiment"]) == ["quickstart/attribution_distance", "vote"]
    assert gansfp("experiment=quickstart/attribution_distance") == []
    assert len(leaderboard(in_folder / "runs", members=True)) == 4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "method.members is empty"),
        ({"members": ["experiment=a"], "replicas": 0}, "replicas=0"),
        ({"members": ["experiment=a"], "agreement": 1.5}, "agreement=1.5"),
    ],
)
def test_impossible_values(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        Ensemble(**settings)


def test_a_stack_of_one_member_is_its_calibration(gansfp, in_folder: Path, toy: Path) -> None:
    (member,) = gansfp("experiment=quickstart/attribution_nearest_generated", "data.fold=0")
    gansfp("runs", "task=attribution", "study=stack", "method.combine=stack", command="ensemble")
    path = the_run(in_folder, "attribution-ensemble")
    tables = [
        read_table(folder / "predictions/test.parquet") for folder in (path, the_member(member))
    ]
    columns = [name for name in tables[0] if name.startswith("p_")]
    logs = [np.log(table[columns].to_numpy().clip(1e-4)) for table in tables]
    steps = [log - log[:, :1] for log in logs]
    slope = (steps[0] * steps[1]).sum() / (steps[1] ** 2).sum()
    np.testing.assert_allclose(steps[0], slope * steps[1], atol=1e-6)  # an inverse temperature
    record = json.loads((path / "model/ensemble.json").read_text())
    assert record["combine"] == "stack"
    assert Ensemble.load(path / "model").record.combine == "stack"


CROSSED = ["task=attribution", "method=ensemble", "experiment_name=crossed",
           "method.members=['experiment=beyond/spectrum_lda',"
           "'experiment=quickstart/attribution_distance']",
           "method.combine=stack", "method.cross_fit=true", "data.folds=3"]  # fmt: skip


def test_a_stack_on_all_folds(gansfp, in_folder: Path) -> None:
    fitted = gansfp(*CROSSED, "data.fold=all")
    assert len(fitted) == 7  # two members of three folds, and the ensemble
    run = the_run(in_folder, "crossed")
    record = json.loads((run / "model/ensemble.json").read_text())
    voters = record["rounds"][0]["voters"]
    folds = [config_of(Path(r))["data"]["fold"] for r in (voters[0]["run"], *voters[0]["folds"])]
    assert folds == [0, 1, 2]
    columns = [f"p_t{k}" for k in range(1, 6)]
    paths = [Path(r) / "predictions" for r in (voters[0]["run"], *voters[0]["folds"])]
    tables = [read_table(path / "test.parquet")[columns] for path in paths]
    held_out = [read_table(path / "validation.parquet")["sample_id"] for path in paths]
    stack = Stack.fit([Voter(**v).table("validation") for v in voters])
    mean = read_table(paths[0] / "test.parquet").assign(**sum(tables) / 3)
    second = Voter(**voters[1]).table("test")
    np.testing.assert_allclose(
        read_table(run / "predictions/test.parquet")[columns], stack.probabilities([mean, second])
    )
    own = read_table(run / "predictions/validation.parquet")
    assert len(own) == 400  # every labelled image, once
    assert sorted(own["sample_id"]) == sorted(pd.concat(held_out))
    assert gansfp(*CROSSED, "data.fold=all") == []
    shown = leaderboard(in_folder / "runs")
    assert list(shown["experiment"]) == ["crossed"]


def test_members_that_fit_nothing_are_weighed_on_the_fold_of_the_others(
    gansfp, in_folder: Path
) -> None:
    gansfp(*CROSSED[:-2], "method.cross_fit=false", "data.folds=3", "data.fold=0")
    run = the_run(in_folder, "crossed")
    (only,) = json.loads((run / "model/ensemble.json").read_text())["rounds"]
    first, second = (Voter(**voter).table("validation") for voter in only["voters"])
    assert len(first) < len(second) == 400
    known = second.set_index("sample_id").loc[first["sample_id"]].reset_index()
    tables = [Voter(**voter).table("test") for voter in only["voters"]]
    found = read_table(run / "predictions/test.parquet")[[f"p_t{k}" for k in range(1, 6)]]
    np.testing.assert_allclose(found, Stack.fit([first, known]).probabilities(tables))


def test_a_stack_on_all_folds_holds_all_out(gansfp, capsys) -> None:
    with pytest.raises(SystemExit):
        gansfp(*CROSSED, "data.fold=0")
    assert "takes data.fold=all" in capsys.readouterr().err


def the_member(name: str) -> Path:
    (found,) = Path("runs").rglob(f"{name}/predictions")
    return found.parent
