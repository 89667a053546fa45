"""Stacking: weights by hand, calibration, and no leak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.naive_bayes import GaussianNB

from gansfp.ensembles.record import Voter
from gansfp.ensembles.stacking import Stack, out_of_fold, stacked
from gansfp.ensembles.voting import averaged
from gansfp.errors import UserError

CLASSES = ("t1", "t2", "t3")


def table(p: np.ndarray, labels: np.ndarray, shuffle: int | None = None) -> pd.DataFrame:
    frame = pd.DataFrame({"sample_id": [f"{n:04}" for n in range(len(p))]})
    frame["group"] = frame["sample_id"]
    frame[[f"p_{name}" for name in CLASSES]] = p
    frame["decision"] = np.asarray(CLASSES)[p.argmax(axis=1)]
    frame["label"] = np.asarray(CLASSES)[labels]
    return frame if shuffle is None else frame.sample(frac=1, random_state=shuffle)


def draw(n: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Honest probabilities and labels that follow them."""
    rng = np.random.default_rng(seed)
    p = softmax(rng.normal(size=(n, 3)) * 2, axis=1)
    return p, np.array([rng.choice(3, p=row) for row in p])


def test_one_member_twice_as_sure_as_it_should_be_gets_half_the_weight() -> None:
    p, labels = draw()
    overconfident = p**2 / (p**2).sum(axis=1, keepdims=True)
    stack = Stack.fit([table(overconfident, labels)])
    assert stack.model.weights == pytest.approx([0.5], abs=0.03)
    found = stack.probabilities([table(overconfident, labels)])
    np.testing.assert_allclose(found, p, atol=0.03)


def test_a_member_that_guesses_gets_next_to_no_weight() -> None:
    p, labels = draw()
    guesses = draw(seed=1)[0]
    weights = Stack.fit([table(p, labels), table(guesses, labels, shuffle=1)]).model.weights
    assert weights[0] == pytest.approx(1, abs=0.06)
    assert weights[1] < 0.06


def test_the_pool_is_a_product_of_powers() -> None:
    one, labels = draw(200)
    two, _ = draw(200, seed=1)
    stack = Stack.fit([table(one, labels), table(two, labels)])
    product = one ** stack.model.weights[0] * two ** stack.model.weights[1]
    np.testing.assert_allclose(
        stack.probabilities([table(one, labels), table(two, labels, shuffle=3)]),
        product / product.sum(axis=1, keepdims=True),
        atol=1e-3,  # the floor of a probability
    )


def test_labels_that_follow_nothing_are_not_learnt() -> None:
    rng = np.random.default_rng(0)
    tables = [table(draw(600, seed)[0], rng.integers(3, size=600)) for seed in range(10)]
    for other in tables[1:]:
        other["label"] = tables[0]["label"]
    found = out_of_fold(tables)
    right = np.asarray(CLASSES)[found.argmax(axis=1)] == tables[0]["label"]
    assert abs(right.mean() - 1 / 3) < 4 * np.sqrt(2 / 9 / 600)


def test_without_held_out_images_it_says_so() -> None:
    with pytest.raises(UserError, match=r"data\.fold=0"):
        Stack.fit([table(*draw(5)).iloc[:0]])


def test_labelled_images_are_pooled_by_stacks_that_did_not_see_them() -> None:
    (p, labels), (q, _) = draw(300), draw(300, seed=1)
    labelled = [table(p, labels), table(q, labels)]
    asked = [one.drop(columns="label").iloc[::-1] for one in labelled]
    found = stacked(asked, labelled)
    np.testing.assert_allclose(found[::-1], out_of_fold(labelled))
    test = [one.assign(sample_id="test" + one["sample_id"]) for one in asked]
    np.testing.assert_allclose(stacked(test, labelled), Stack.fit(labelled).probabilities(test))


def test_tables_are_averaged_by_hand() -> None:
    one = table(np.array([[0.6, 0.4, 0.0], [0.1, 0.2, 0.7]]), np.array([0, 1]))
    two = table(np.array([[0.0, 0.4, 0.6], [0.1, 0.8, 0.1]]), np.array([0, 1])).iloc[::-1]
    found = averaged([one, two])
    np.testing.assert_allclose(found[["p_t1", "p_t2", "p_t3"]], [[0.3, 0.4, 0.3], [0.1, 0.5, 0.4]])
    assert found["decision"].tolist() == ["t2", "t2"]
    assert averaged([one]) is one


def test_runs_of_all_folds_are_one_member(tmp_path: Path) -> None:
    p, labels = draw(9)
    voters = []
    for fold in range(3):
        folder = tmp_path / f"run{fold}" / "predictions"
        folder.mkdir(parents=True)
        mine = np.arange(9) % 3 == fold
        table(p, labels)[mine].to_parquet(folder / "validation.parquet")
        table(np.roll(p, fold, axis=1), labels).to_parquet(folder / "test.parquet")
        voters.append(Voter(str(folder.parent), "words", fold / 2))
    member = Voter.crossed(voters)
    assert (member.validation, member.plain) == (0.5, False)
    held_out = member.table("validation").sort_values("sample_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(held_out, table(p, labels))
    columns = ["p_t1", "p_t2", "p_t3"]
    np.testing.assert_allclose(member.table("test")[columns], 1 / 3)


class Pool(ClassifierMixin, BaseEstimator):
    """`Stack` as scikit-learn's final estimator: columns are classes, member by member."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Pool:
        self.classes_ = np.unique(y)
        self.stack_ = Stack.fit(self._tables(x, y))
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return self.stack_.probabilities(self._tables(x, np.zeros(len(x), dtype=int)))

    def _tables(self, x: np.ndarray, y: np.ndarray) -> list[pd.DataFrame]:
        return [table(x[:, at : at + 3], y) for at in range(0, x.shape[1], 3)]


def test_out_of_fold_tables_weigh_as_in_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=300)
    x = rng.normal(size=(300, 4)) + 1.5 * np.eye(3, 4)[labels]
    splits = PredefinedSplit(np.arange(300) % 5)
    members = [LogisticRegression(), GaussianNB()]
    theirs = StackingClassifier(
        [(str(n), m) for n, m in enumerate(members)],
        Pool(),
        cv=splits,
        stack_method="predict_proba",
    ).fit(x, labels)
    ours = Stack.fit(
        [
            table(cross_val_predict(m, x, labels, cv=splits, method="predict_proba"), labels)
            for m in members
        ]
    )
    np.testing.assert_allclose(ours.model.weights, theirs.final_estimator_.stack_.model.weights)
    asked = [table(m.fit(x, labels).predict_proba(x), labels) for m in members]
    np.testing.assert_allclose(ours.probabilities(asked), theirs.predict_proba(x), atol=1e-9)
