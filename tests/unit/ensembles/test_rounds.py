"""Rounds of pseudo-labels against an example that was worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from gansfp.data.pseudo import read_pseudo_labels
from gansfp.ensembles.pseudo_labels import run_rounds
from gansfp.ensembles.record import Record, Round, Voter
from gansfp.errors import UserError
from gansfp.runtime.run import Run
from gansfp.tables import write_table

CLASSES = ("t1", "t2")
TEST = ["u1", "u2", "u3", "u4"]
ASIDE = ["s1", "s2", "s3", "s4"]
TRUTH = ["t1", "t1", "t2", "t2"]  # of the sequestered images


def table(ids: list[str], votes: str, **columns: Any) -> pd.DataFrame:
    decided = [f"t{digit}" for digit in votes]
    frame = pd.DataFrame({"sample_id": ids, "decision": decided, **columns})
    for name in CLASSES:
        frame[f"p_{name}"] = [0.8 if d == name else 0.2 for d in decided]
    return frame


class Script:
    """A fit that answers as it is told: the votes of each member on test and sequestered images."""

    def __init__(self, folder: Path, rounds: list[list[tuple[str, str | None]]]) -> None:
        self.folder = folder
        self.rounds = rounds
        self.read: list[dict[str, str] | None] = []

    def __call__(self, number: int, path: Path | None) -> Round:
        labels = None if path is None else read_pseudo_labels(path)
        pairs = None if labels is None else dict(labels.itertuples(index=False))
        self.read.append(pairs)
        voters = []
        for member, (test, aside) in enumerate(self.rounds[number]):
            run = Run(self.folder / f"{number}-{member}")
            write_table(table(TEST, test), run.predictions("test"))
            if aside is not None:
                write_table(table(ASIDE, aside, label=TRUTH), run.predictions("sequestered"))
            voters.append(Voter(str(run.folder), "", None))
        return Round(number, voters)


def test_the_worked_example(tmp_path: Path) -> None:
    # Round 0, three members on u1..u4: 1112, 1122, 1222. All agree on u1 (t1) and u4 (t2) only.
    # Sequestered: 1122, 1112, 1222, vote 1122: all four right.
    # Round 1, fitted on u1 = t1 and u4 = t2: 1122, 1122, 1222: also on u3 (t2).
    # Sequestered: vote 1122 again: no worse, kept.
    # Round 2, fitted on u1, u3, u4.
    script = Script(tmp_path, [
        [("1112", "1122"), ("1122", "1112"), ("1222", "1222")],
        [("1122", "1122"), ("1122", "1122"), ("1222", "1112")],
        [("1122", "1122"), ("1122", "1122"), ("1122", "1122")],
    ])  # fmt: skip
    record = run_rounds(script, 2, 0.9, tmp_path / "rounds")
    assert script.read == [None, {"u1": "t1", "u4": "t2"}, {"u1": "t1", "u3": "t2", "u4": "t2"}]
    assert [found.sequestered for found in record.rounds] == [1.0, 1.0, 1.0]
    assert [found.labelled for found in record.rounds] == [0, 2, 3]
    assert record.last.number == 2


def test_a_round_that_hurts_the_sequestered_set_is_thrown_away(tmp_path: Path) -> None:
    # Round 0 decides s1..s4 as 1122 (accuracy 1), round 1 as 1112 (0.75): round 0 stays, and no
    # round 2 is fitted.
    script = Script(tmp_path, [
        [("1122", "1122"), ("1122", "1122")],
        [("2211", "1112"), ("2211", "1112")],
        [("1111", "1122"), ("1111", "1122")],
    ])  # fmt: skip
    record = run_rounds(script, 2, 0.9, tmp_path / "rounds")
    assert len(script.read) == 2
    assert [(r.sequestered, r.kept) for r in record.rounds] == [(1.0, True), (0.75, False)]
    assert record.last.number == 0
    assert record.last.tables("test")[0]["decision"].tolist() == ["t1", "t1", "t2", "t2"]


def test_without_a_sequestered_set_every_round_is_kept(tmp_path: Path) -> None:
    script = Script(tmp_path, [[("1122", None)], [("2211", None)], [("1111", None)]])
    record = run_rounds(script, 2, 1.0, tmp_path / "rounds")
    assert [found.kept for found in record.rounds] == [True, True, True]
    assert record.last.number == 2
    assert script.read[2] == {"u1": "t2", "u2": "t2", "u3": "t1", "u4": "t1"}


def test_no_agreement_ends_the_rounds(tmp_path: Path) -> None:
    script = Script(tmp_path, [[("1111", None), ("2222", None)]])
    record = run_rounds(script, 2, 0.9, tmp_path / "rounds")
    assert len(record.rounds) == 1
    assert not (tmp_path / "rounds").exists()


def test_only_those_who_vote_give_labels(tmp_path: Path) -> None:
    script = Script(tmp_path, [[("1122", None), ("1111", None)], [("1122", None)] * 2])

    def one_votes(number: int, path: Path | None) -> Round:
        found = script(number, path)
        found.voters[1].kept = False
        return found

    run_rounds(one_votes, 1, 0.9, tmp_path / "rounds")
    assert script.read[1] == {"u1": "t1", "u2": "t1", "u3": "t2", "u4": "t2"}


class TestChoice:
    def voters(self, *metrics: float | None) -> Round:
        return Round(0, [Voter(f"run{k}", "", value) for k, value in enumerate(metrics)])

    def kept(self, found: Round) -> list[int]:
        return [k for k, voter in enumerate(found.voters) if voter.kept]

    def test_only_those_above_the_bar_vote(self) -> None:
        found = self.voters(0.97, 0.98, 0.981, 0.99)
        assert found.choose(0, 0.98)
        assert self.kept(found) == [2, 3]

    def test_the_worst_is_dropped_and_of_equals_the_later(self) -> None:
        found = self.voters(0.9, 0.7, 0.8, 0.7)
        assert found.choose(1, None)
        assert self.kept(found) == [0, 1, 2]
        found = self.voters(0.9, 0.7)
        found.choose(5, None)
        assert self.kept(found) == [0]

    def test_where_none_is_above_the_bar_the_best_decides(self) -> None:
        found = self.voters(0.5, 0.6, 0.6)
        assert not found.choose(1, 0.98)
        assert self.kept(found) == [1]

    def test_without_a_held_out_fold_nothing_can_be_compared(self) -> None:
        with pytest.raises(UserError, match=r"run1: method\.bar"):
            self.voters(0.9, None).choose(0, 0.5)
        assert self.voters(None, None).choose(0, None)


def test_the_record_is_read_back_as_written(tmp_path: Path) -> None:
    record = Record([Round(0, [Voter("a", "x=1", 0.5), Voter("b", "", None, kept=False)]),
                     Round(1, [], "labels.csv", 3, 0.75, kept=False)])  # fmt: skip
    record.write(tmp_path / "model" / "ensemble.json")
    assert Record.read(tmp_path / "model" / "ensemble.json") == record
    assert (
        json.loads((tmp_path / "model" / "ensemble.json").read_text())["rounds"][1]["labelled"] == 3
    )
    with pytest.raises(UserError, match="no record"):
        Record.read(tmp_path / "nowhere.json")
