"""The classifiers' plain arrays give what scikit-learn's objects give."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from gansfp.errors import UserError
from gansfp.methods.heads import Logistic, Perceptron, head_from_spec


@pytest.fixture
def points() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60)
    return rng.normal(5, [1, 10, 100], (60, 3)) + labels[:, None] * [1, 0, 0], labels


def test_logistic_is_that_of_scikit_learn(points: tuple[np.ndarray, np.ndarray]) -> None:
    head = Logistic(c=0.5)
    head.fit(*points)
    scaler = StandardScaler().fit(points[0])
    model = LogisticRegression(C=0.5, max_iter=1000).fit(scaler.transform(points[0]), points[1])
    expected = model.predict_proba(scaler.transform(points[0]))[:, 1]
    np.testing.assert_allclose(head.score(points[0]), expected, atol=1e-9)


def test_perceptron_is_that_of_scikit_learn(points: tuple[np.ndarray, np.ndarray]) -> None:
    head = Perceptron(hidden=[8, 4], epochs=20, batch_size=16, seed=3)
    head.fit(*points)
    options = {"alpha": 0.0, "learning_rate_init": 1e-3, "max_iter": 20, "n_iter_no_change": 20}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier((8, 4), batch_size=16, random_state=3, **options).fit(*points)
    np.testing.assert_allclose(
        head.score(points[0]), model.predict_proba(points[0])[:, 1], atol=1e-9
    )
    default = Perceptron()
    default.fit(*points)
    shapes = [default.arrays()[f"weights{layer}"].shape for layer in range(3)]
    assert shapes == [(3, 256), (256, 128), (128, 1)]


@pytest.mark.parametrize(
    "head",
    [Logistic(c=3.0), Perceptron(hidden=[4], epochs=3)],
    ids=["logistic", "perceptron"],
)
def test_a_described_head_is_built_again(
    head: Logistic | Perceptron, points: tuple[np.ndarray, np.ndarray]
) -> None:
    head.fit(*points)
    again = head_from_spec(head.spec())
    assert again is not None
    again.restore(head.arrays())
    np.testing.assert_array_equal(again.score(points[0]), head.score(points[0]))
    assert head_from_spec(None) is None
    with pytest.raises(UserError, match="choose logistic or perceptron"):
        head_from_spec({"kind": "svm"})
    with pytest.raises(UserError, match="used and not used"):
        head.fit(points[0], np.zeros(60, int))
