"""Stacking: weights by hand, calibration, and no leak."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from gansfp.ensembles.stacking import Stack, out_of_fold, stacked
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
