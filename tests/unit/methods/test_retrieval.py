"""Retrieval and pruning: exact neighbours, and what is cut away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from gansfp.features.representations import Pixels
from gansfp.methods.retrieval.estimator import RetrievalEstimator
from gansfp.methods.retrieval.pruning import candidates

Data = Any


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_candidates_are_the_nearest() -> None:
    rng = np.random.default_rng(0)
    synthetic, real = _unit(rng.normal(size=(9, 12))), _unit(rng.normal(size=(40, 12)))
    distance, index, kept = candidates(synthetic, real, k=7, prune=False)
    full = cdist(synthetic, real)
    np.testing.assert_array_equal(index, np.argsort(full, axis=1)[:, :7])
    np.testing.assert_allclose(distance, np.sort(full, axis=1)[:, :7])
    assert kept.all()
    # Squared L2 = 2 - 2 cos: both of FAISS' indices order alike.
    np.testing.assert_array_equal(np.argsort(-(synthetic @ real.T), axis=1)[:, :7], index)
    assert candidates(synthetic, real, k=500)[1].shape == (9, 40)


def test_strangers_are_pruned() -> None:
    rng = np.random.default_rng(0)
    centre = np.eye(8)[0]
    near = _unit(centre + rng.normal(0, 0.05, (12, 8)))
    far = _unit(-centre + rng.normal(0, 0.05, (8, 8)))
    _, index, kept = candidates(centre[None], np.concatenate([near, far]), k=20, neighbours=5)
    assert set(index[kept]) == set(range(12))


def test_scores_are_the_best_kept_cosine(membership: Data, tmp_path: Path) -> None:
    benchmark = membership.benchmark
    rows = benchmark.candidates("test")
    method = RetrievalEstimator(Pixels(), k=6, neighbours=3).fit(membership)
    everyone = np.sort(np.concatenate([benchmark.candidates("train"), rows]))
    real, made = (
        _unit(benchmark.images(r).reshape(len(r), -1) / 255.0)
        for r in (everyone, membership.generated_rows)
    )
    cosine = made @ real.T
    _, index, kept = candidates(made.astype(np.float32).astype(float), real, k=6, neighbours=3)
    expected = np.full(len(everyone), -np.inf)
    for number, row in enumerate(index):
        for place, image in enumerate(row):
            value = cosine[number, image] - (0 if kept[number, place] else 2)
            expected[image] = max(expected[image], value)
    expected[np.isinf(expected)] = -3
    got = method.predict(membership, rows)
    np.testing.assert_allclose(got, expected[np.isin(everyone, rows)], atol=1e-5)
    assert method.transductive
    method.save(tmp_path / "model")
    loaded = RetrievalEstimator.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(membership, rows[::-1]), got[::-1])
