"""All-pairs correlation, cosine and Jaccard against numpy, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import jaccard_score
from sklearn.metrics.pairwise import cosine_similarity

from gansfp.features import pairwise
from gansfp.features.pairwise import cosine_matrix, jaccard_matrix, ncc_matrix


@pytest.fixture(params=[4096, 3])
def _rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairwise, "_ROWS", request.param)


@pytest.mark.usefixtures("_rows")
def test_ncc_and_cosine_are_those_of_numpy_and_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    left = rng.integers(0, 256, (7, 20, 20)).astype(np.uint8)
    right = np.concatenate([left[:2] // 2 + 40, rng.integers(0, 256, (4, 20, 20))]).astype(np.uint8)
    flat = [side.reshape(len(side), -1).astype(float) for side in (left, right)]
    expected = np.corrcoef(*flat)[:7, 7:]
    np.testing.assert_allclose(ncc_matrix(left, right), expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(cosine_matrix(left, right), cosine_similarity(*flat), atol=1e-6)


def test_a_large_mean_does_not_spoil_a_correlation() -> None:
    rng = np.random.default_rng(0)
    vectors = 1e6 + rng.normal(size=(5, 50))
    expected = np.corrcoef(vectors)
    np.testing.assert_allclose(ncc_matrix(vectors, vectors), expected, atol=1e-6)


def test_what_has_no_direction_is_like_nothing() -> None:
    vectors = np.array([[0.0, 0, 0], [5, 5, 5], [1, 2, 3]])
    np.testing.assert_allclose(ncc_matrix(vectors, vectors)[:2], 0)
    np.testing.assert_allclose(cosine_matrix(vectors, vectors)[0], 0)
    with pytest.raises(ValueError, match="expected"):
        cosine_matrix(vectors, vectors[:, :2])


@pytest.mark.usefixtures("_rows")
def test_jaccard_is_that_of_scipy_and_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.random((6, 90)) < 0.3, rng.random((5, 90)) < 0.6
    index = jaccard_matrix(left, right)
    np.testing.assert_allclose(index, 1 - cdist(left, right, "jaccard"), atol=1e-6)
    np.testing.assert_allclose(index[2, 3], jaccard_score(left[2], right[3]), atol=1e-6)
    empty = np.zeros((1, 90), bool)
    np.testing.assert_allclose(jaccard_matrix(empty, empty), 1)
    np.testing.assert_allclose(jaccard_matrix(empty, right), 0)
