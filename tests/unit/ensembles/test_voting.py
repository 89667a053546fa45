from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gansfp.decisions import ArgMax
from gansfp.ensembles.voting import accuracy, agreed, align, vote
from gansfp.errors import UserError

CLASSES = ["t1", "t2", "t3"]


def table(
    probabilities: list[list[float]], ids: str = "abcdefgh", **columns: object
) -> pd.DataFrame:
    frame = pd.DataFrame({"sample_id": list(ids[: len(probabilities)])})
    for k, name in enumerate(CLASSES):
        frame[f"p_{name}"] = [row[k] for row in probabilities]
    return ArgMax().decide(frame)


def decided(tables: list[pd.DataFrame]) -> list[str]:
    return [CLASSES[k] for k in vote(tables).argmax(axis=1)]


def test_the_mode_wins_against_any_probability() -> None:
    # t1 by two narrow votes, t2 by one of certainty: the mean probability says t2.
    tables = [table([[0.4, 0.3, 0.3]]), table([[0.4, 0.35, 0.25]]), table([[0.0, 1.0, 0.0]])]
    assert decided(tables) == ["t1"]


def test_ties_go_to_the_largest_mean_probability() -> None:
    # Two votes each for t1 and t2; means 0.425 and 0.475. t3 has the largest mean and no vote.
    rows = [[0.5, 0.4, 0.1], [0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.3, 0.6, 0.1]]
    assert decided([table([row]) for row in rows]) == ["t2"]
    # One vote each: 0.4 + 0.3 + 0.3, 0.3 + 0.5 + 0.0, 0.3 + 0.2 + 0.7: t3.
    assert decided([table([[0.4, 0.3, 0.3]]), table([[0.3, 0.5, 0.2]]),
                    table([[0.3, 0.0, 0.7]])]) == ["t3"]  # fmt: skip


def test_an_exact_tie_goes_to_the_first_class() -> None:
    assert decided([table([[0.6, 0.4, 0.0]]), table([[0.4, 0.6, 0.0]])]) == ["t1"]


def test_votes_are_probabilities_and_match_the_mode_of_many() -> None:
    rng = np.random.default_rng(0)
    tables = [table(rng.dirichlet([1, 1, 1], 8).tolist()) for _ in range(7)]
    shares = vote(tables)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    hard = np.stack([t["decision"] for t in tables])
    for column, found in zip(hard.T, shares.argmax(axis=1), strict=True):
        names, counts = np.unique(column.astype(str), return_counts=True)
        assert CLASSES[found] in names[counts == counts.max()]


def test_the_order_of_rows_and_members_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    tables = [table(rng.dirichlet([1, 1, 1], 8).tolist()) for _ in range(3)]
    shuffled = [tables[0], tables[1].iloc[::-1], tables[2].sample(frac=1, random_state=0)]
    np.testing.assert_allclose(vote(shuffled), vote(tables))
    np.testing.assert_allclose(vote([tables[2], tables[0], tables[1]]), vote(tables))


def test_membership_votes_are_shares_of_used() -> None:
    tables = [
        pd.DataFrame({"sample_id": ["a", "b"], "decision": votes})
        for votes in ([1, 0], [1, 1], [0, 0], [1, 0])
    ]
    np.testing.assert_allclose(vote(tables), [0.75, 0.25])


def test_ten_members_of_whom_nine_agree_give_a_pseudo_label() -> None:
    # Image a: nine of ten for t2. Image b: eight of ten for t1. Image c: all for t3.
    votes = ["t2"] * 9 + ["t1"], ["t1"] * 8 + ["t3"] * 2, ["t3"] * 10
    tables = []
    for member in range(10):
        frame = table([[1.0, 0.0, 0.0]] * 3)
        tables.append(frame.assign(decision=[column[member] for column in votes]))
    found = agreed(tables, 0.9)
    assert found["sample_id"].tolist() == ["a", "c"]
    assert found["label"].tolist() == ["t2", "t3"]
    assert found["agreement"].tolist() == pytest.approx([0.9, 1.0])
    assert len(agreed(tables, 0.8)) == 3
    assert agreed(tables, 1.0)["label"].tolist() == ["t3"]


def test_accuracy_by_hand() -> None:
    frame = table([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.2, 0.3, 0.5], [0.2, 0.5, 0.3]])
    frame["label"] = ["t1", "t1", "t3", "t2"]
    assert accuracy(vote([frame]), frame) == 0.75
    members = pd.DataFrame({"sample_id": ["a", "b"], "decision": [1, 0], "label": [1, 1]})
    assert accuracy(vote([members]), members) == 0.5


def test_tables_of_other_images_or_classes_are_refused() -> None:
    one = table([[0.5, 0.3, 0.2]] * 2)
    with pytest.raises(UserError, match="predicted different images"):
        align([one, table([[0.5, 0.3, 0.2]] * 2, ids="ax")])
    with pytest.raises(UserError, match="predicted different images"):
        align([one, table([[0.5, 0.3, 0.2]] * 3)])
    with pytest.raises(UserError, match="know different classes"):
        align([one, one.drop(columns="p_t3")])
    with pytest.raises(UserError, match="none to vote"):
        align([])
