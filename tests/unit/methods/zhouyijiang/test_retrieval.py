"""Candidates and their spectral pruning, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import SpectralClustering

from gansfp.methods.retrieval.pruning import _cut_line, two_clusters
from gansfp.methods.zhouyijiang.retrieval import candidate_pairs


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    return bool((first == second).all() or (first == 1 - second).all())


def test_two_clusters_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    sets = []
    for gap in (3.0, 4.0, 6.0, 9.0):  # overlapping to far apart
        centres = np.repeat([0.0, gap], [20, 30])[:, None] * np.eye(1, 8)
        sets.append(centres + rng.normal(size=(50, 8)))
    points = np.stack(sets)
    got = two_clusters(torch.from_numpy(points)).numpy()
    for mine, x in zip(got, points, strict=True):
        library = SpectralClustering(
            2, affinity="nearest_neighbors", n_neighbors=10, random_state=0
        ).fit_predict(x)
        assert _same(mine, library)


@pytest.mark.parametrize("seed", range(5))
def test_the_cut_of_a_line_is_the_best_of_all(seed: int) -> None:
    values = torch.from_numpy(np.random.default_rng(seed).normal(size=(1, 9)))
    line = values[0].numpy()
    order = np.sort(line)

    def within(cut: int) -> float:
        return sum(len(p) * p.var() for p in (order[:cut], order[cut:]))

    best = min(range(1, 9), key=within)
    np.testing.assert_array_equal(_cut_line(values)[0].numpy(), line >= order[best])


def test_pairs_are_the_nearest_without_the_farther_cluster() -> None:
    rng = np.random.default_rng(1)
    near, far = rng.normal(0, 0.1, (20, 6)), rng.normal(3, 0.1, (30, 6))
    elsewhere = rng.normal(-9, 0.1, (40, 6))
    real = np.concatenate([far, near, elsewhere])
    synthetic = rng.normal(0, 0.1, (3, 6))
    pairs = candidate_pairs(synthetic, real, k=50)
    for made in range(3):
        assert sorted(pairs[pairs[:, 1] == made, 0]) == list(range(30, 50))
    every = candidate_pairs(synthetic, real, k=50, prune=False)
    assert len(every) == 150
    assert set(every[:, 0]) == set(range(50))


def test_fewer_images_than_candidates() -> None:
    rng = np.random.default_rng(2)
    assert len(candidate_pairs(rng.normal(size=(4, 3)), rng.normal(size=(2, 3)), k=50)) == 8
    assert len(candidate_pairs(rng.normal(size=(4, 3)), rng.normal(size=(7, 3)), k=50)) >= 4
