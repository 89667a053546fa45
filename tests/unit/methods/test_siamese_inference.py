"""Distances to sets and probabilities, against scipy and by hand."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import softmax

from gansfp.methods.siamese import inference
from gansfp.methods.siamese.inference import distance_to_set, pairwise, probabilities


def test_average_is_the_mean_of_all_distances(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    queries, references = rng.normal(size=(11, 6)), rng.normal(size=(7, 6))
    expected = cdist(queries, references).mean(axis=1)
    np.testing.assert_allclose(distance_to_set(queries, references, "average"), expected)
    monkeypatch.setattr(inference, "_CHUNK_ELEMENTS", 15)
    np.testing.assert_allclose(distance_to_set(queries, references, "average"), expected)


def test_centroid_is_the_distance_to_the_mean() -> None:
    references = np.array([[1.0, 0.0], [0.0, 1.0]])
    queries = np.array([[0.5, 0.5], [1.0, 0.0]])
    np.testing.assert_allclose(
        distance_to_set(queries, references, "centroid"), [0, np.sqrt(0.5)], atol=1e-12
    )


def test_pairwise_of_equal_points_is_zero_not_nan() -> None:
    points = np.random.default_rng(0).normal(size=(5, 64))
    assert (np.diag(pairwise(points, points)) < 1e-6).all()


def test_probabilities_are_a_softmax_of_negative_distances() -> None:
    distances = np.array([[0.1, 1.9, 0.5], [2.0, 2.0, 2.0]])
    np.testing.assert_allclose(probabilities(distances), softmax(-distances, axis=1))
    np.testing.assert_array_equal(probabilities(distances).argmax(axis=1), [0, 0])
