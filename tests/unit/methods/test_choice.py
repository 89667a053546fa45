"""The conditional logit against closed forms and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from gansfp.methods.choice import ConditionalLogit


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Choices among four, by weights 2, 0.5 and 0."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 4, 3)) * [1, 3, 1] + rng.normal(size=(4000, 1, 3)) * 10
    chances = softmax(features @ [2.0, 0.5, 0.0], axis=1)
    return features, np.array([rng.choice(4, p=p) for p in chances])


def test_finds_the_weights_that_drew_the_choices(drawn) -> None:
    model = ConditionalLogit.fit(*drawn)
    np.testing.assert_allclose(model.weights, [2.0, 0.5, 0.0], atol=0.12)


def test_with_two_alternatives_it_is_a_regression_on_their_difference(drawn) -> None:
    features, _ = drawn
    pair, rng = features[:, :2], np.random.default_rng(1)
    chosen = (rng.random(len(pair)) < softmax(pair @ [2.0, 0.5, 0.3], axis=1)[:, 1]).astype(int)
    ours = ConditionalLogit.fit(pair, chosen, penalty=1e-6)
    theirs = LogisticRegression(C=1e6, fit_intercept=False, tol=1e-8)
    theirs.fit(pair[:, 1] - pair[:, 0], chosen)
    np.testing.assert_allclose(ours.weights, theirs.coef_[0], rtol=1e-3)


def test_what_speaks_against_gets_no_weight(drawn) -> None:
    features, targets = drawn
    model = ConditionalLogit.fit(np.concatenate([features, -features[..., :1]], axis=2), targets)
    assert model.weights[3] == 0
    assert (model.weights >= 0).all()


def test_classes_that_change_places_change_places_in_the_answer(drawn) -> None:
    features, targets = drawn
    model = ConditionalLogit.fit(features, targets)
    order = np.array([2, 0, 3, 1])
    np.testing.assert_allclose(
        model.probabilities(features[:, order]), model.probabilities(features)[:, order]
    )
    again = ConditionalLogit.fit(features[:, order], np.argsort(order)[targets])
    np.testing.assert_allclose(again.weights, model.weights, rtol=1e-4)


def test_scales_do_not_matter(drawn) -> None:
    features, targets = drawn
    model = ConditionalLogit.fit(features, targets)
    scaled = ConditionalLogit.fit(features * [1e-3, 1, 1e3], targets)
    np.testing.assert_allclose(scaled.weights * [1e-3, 1, 1e3], model.weights, atol=1e-3)
