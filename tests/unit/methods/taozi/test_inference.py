"""Rules that turn cosines into scores, against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from gansfp.methods.taozi.inference import membership_scores


@pytest.fixture
def vectors() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(9, 6)), rng.normal(size=(30, 6))
    return tuple(x / np.linalg.norm(x, axis=1, keepdims=True) for x in (real, made))


def test_rules_by_hand(vectors) -> None:
    real, made = vectors
    cosines = real @ made.T
    best = cosines.max(axis=1)
    expected = {
        "max": best,
        "top3": np.sort(cosines, axis=1)[:, -3:].mean(axis=1),
        "mean": cosines.mean(axis=1),
        "sigmoid": 1 / (1 + np.exp(-7 * (best - 0.5))),
    }
    for rule, scores in expected.items():
        np.testing.assert_allclose(membership_scores(real, made, rule), scores, atol=1e-12)


def test_sigmoid_at_0_8_is_max_at_0_698() -> None:
    np.testing.assert_allclose(0.5 + np.log(0.8 / 0.2) / 7, 0.698, atol=5e-4)


def test_chosen_needs_a_synthetic_image_of_its_own(vectors) -> None:
    real, made = vectors
    cosines = real @ made.T
    choice = cosines.argmax(axis=0)
    got = membership_scores(real, made, "chosen")
    for i in range(len(real)):
        mine = cosines[i, choice == i]
        expected = mine.max() if len(mine) else cosines[i].max() - 2
        np.testing.assert_allclose(got[i], expected, atol=1e-12)
    crowded = np.concatenate([real, real[:1]])  # a copy takes the choices of the first
    assert membership_scores(crowded, made, "chosen")[-1] < -0.5


@pytest.mark.parametrize("rule", ["max", "top3", "mean", "sigmoid", "chosen"])
def test_order_of_synthetic_images_does_not_matter(vectors, rule: str) -> None:
    real, made = vectors
    turned = made[np.random.default_rng(1).permutation(len(made))]
    np.testing.assert_allclose(
        membership_scores(real, turned, rule), membership_scores(real, made, rule), atol=1e-12
    )


def test_no_images_give_no_scores(vectors) -> None:
    assert membership_scores(np.empty((0, 6)), vectors[1], "max").shape == (0,)
