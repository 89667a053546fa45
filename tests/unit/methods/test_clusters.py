"""Clustering methods against scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans, SpectralClustering
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gansfp.errors import UserError
from gansfp.methods.clusters.algorithms import cluster, knee_distance
from gansfp.methods.clusters.estimator import ClusterVote, cluster_votes

Data = Any


def _blobs(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0, 1, (30, 4)), rng.normal(4, 1, (25, 4))])


def test_every_algorithm_is_that_of_scikit_learn() -> None:
    points = _blobs()
    expected = {
        "kmeans": KMeans(2, n_init=10, random_state=42).fit_predict(points),
        "gmm": GaussianMixture(2, random_state=42).fit_predict(points),
        "agglomerative": AgglomerativeClustering(2).fit_predict(points),
        "dbscan": DBSCAN(eps=knee_distance(points), min_samples=5).fit_predict(points),
        "spectral": SpectralClustering(
            2, affinity="nearest_neighbors", n_neighbors=10, random_state=42
        ).fit_predict(points),
    }
    for name, labels in expected.items():
        assert adjusted_rand_score(cluster(points, name), labels) == 1, name
    with pytest.raises(UserError, match="choose kmeans, gmm"):
        cluster(points, "em")


def test_the_knee_lies_between_the_dense_and_the_stray() -> None:
    rng = np.random.default_rng(0)
    dense, stray = rng.normal(0, 0.1, (90, 2)), rng.uniform(5, 50, (10, 2))
    knee = knee_distance(np.concatenate([dense, stray]))
    assert 0.05 < knee < 5
    assert knee_distance(np.zeros((8, 2))) > 0


def test_clusters_vote_by_their_labelled_members() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1, -1, -1, 2])
    labelled = np.array([0, 1, 2, 3, 4, 6])
    used = np.array([True, True, False, True, False, True])
    votes = cluster_votes(labels, labelled, used)
    # Cluster 0: two used of three; cluster 1: a tie; noise and the unlabelled cluster: not used.
    np.testing.assert_array_equal(votes, [1, 1, 1, 0, 0, 0, 0, 0, 0])


def test_projection_is_that_of_scikit_learn(membership: Data) -> None:
    method = ClusterVote(components=5, algorithms=["kmeans"]).fit(membership)
    rows = method._pool_rows(membership)
    raw = (membership.benchmark.images(rows).reshape(len(rows), -1) / 255).astype(np.float32)
    pipeline = make_pipeline(StandardScaler(), PCA(5, random_state=42))
    expected = pipeline.fit_transform(raw.astype(np.float64))
    assert method._learnt is not None
    np.testing.assert_allclose(np.abs(method._learnt["vectors"]), np.abs(expected), atol=1e-6)


def test_pools_say_what_they_look_at(membership: Data) -> None:
    sizes = {"real": 21, "all": 51, "labelled": 12}
    for pool, size in sizes.items():
        method = ClusterVote(pool=pool, algorithms=["kmeans"], components=3).fit(membership)
        assert len(method._pool_rows(membership)) == size
        assert method.transductive == (pool != "labelled")
        assert method.uses_synthetic == ("mean" if pool == "all" else "none")
        scores = method.predict(membership, membership.benchmark.candidates("test"))
        assert set(scores) <= {0.0, 1.0}
    with pytest.raises(UserError, match=r"method\.pool=test"):
        ClusterVote(pool="test")


def test_held_out_labels_do_not_vote(membership: Data) -> None:
    data = type(membership)(fold=0, folds=3)
    data.__dict__["benchmark"] = membership.benchmark
    method = ClusterVote(components=3).fit(data)
    frame = data.benchmark.index.frame
    flipped = frame["label"].map({"used": "not_used", "not_used": "used"})
    before = method._learnt
    frame.loc[data.holdout_rows, "label"] = flipped[data.holdout_rows]
    data.__dict__["holdout_rows"] = data.holdout_rows
    again = ClusterVote(components=3).fit(data)._learnt
    assert before is not None
    assert again is not None
    np.testing.assert_array_equal(before["votes"], again["votes"])


def test_saved_and_loaded_gives_the_same(membership: Data, tmp_path: Path) -> None:
    method = ClusterVote(components=4).fit(membership)
    method.save(tmp_path / "model")
    rows = membership.benchmark.candidates("test")
    loaded = ClusterVote.load(tmp_path / "model")
    np.testing.assert_array_equal(
        loaded.predict(membership, rows), method.predict(membership, rows)
    )
    assert set(method.predict(membership, rows)) <= {0, 0.25, 0.5, 0.75, 1}
