"""The two forests against scikit-learn, and their plain arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier

from gansfp.errors import UserError
from gansfp.methods.forest.codec import LinearCodec, codec_from_spec
from gansfp.methods.forest.estimator import ForestEstimator
from gansfp.methods.forest.stage import Described, TwoForests
from gansfp.methods.forest.trees import forest_arrays, forest_score

Data = Any


@pytest.fixture
def data(datamodule: Any) -> Data:
    """24 labelled and 9 test images, 30 synthetic ones, of 16x16 noise."""
    rng = np.random.default_rng(0)

    def draw(n: int) -> np.ndarray:
        return rng.integers(0, 256, (n, 16, 16), dtype=np.uint8)

    return datamodule(
        "membership",
        [
            ("train", "generated", None, draw(20), None),
            ("train", "real_used", "used", draw(12), None),
            ("train", "real_not_used", "not_used", draw(12), None),
            ("test", "generated", None, draw(10), None),
            ("test", "real_unknown", None, draw(11), None),
        ],
        fold=None,
    )


def _described(n: int, seed: int) -> Described:
    rng = np.random.default_rng(seed)
    return Described(rng.normal(size=(n, 6)), rng.random(n), rng.normal(size=(n, 48)))


def test_stage_is_scikit_learn_step_by_step() -> None:
    labelled, synthetic, test = _described(40, 0), _described(90, 1), _described(15, 2)
    labels = np.arange(40) % 2
    labelled.handcrafted[labels == 1, 3] += 2
    stage = TwoForests(trees=30, top=7, second_trees=20, seed=42)
    stage.fit(labelled, labels, synthetic)
    first = RandomForestClassifier(30, random_state=42).fit(labelled.vectors, labels)
    top = np.argsort(first.feature_importances_)[::-1][:7]
    assert top[0] == 6 + 3
    covariance = EmpiricalCovariance().fit(synthetic.vectors[:, top])

    def meta(images: Described) -> np.ndarray:
        nearest = cdist(images.latents, synthetic.latents, "cosine").min(axis=1)
        return np.stack(
            [images.errors, nearest, covariance.mahalanobis(images.vectors[:, top])], axis=1
        )

    np.testing.assert_allclose(stage.meta(test), meta(test), rtol=1e-6)
    second = RandomForestClassifier(20, random_state=42).fit(stage.meta(labelled), labels)
    expected = second.predict_proba(stage.meta(test))[:, 1]
    np.testing.assert_allclose(stage.score(test), expected, atol=1e-12)
    with pytest.raises(UserError, match="used and not used"):
        stage.fit(labelled, np.zeros(40, int), synthetic)


def test_a_forest_as_arrays_predicts_the_same() -> None:
    rng = np.random.default_rng(0)
    points, labels = rng.normal(size=(80, 5)), rng.integers(0, 2, 80)
    forest = RandomForestClassifier(25, random_state=0).fit(points, labels)
    queries = np.concatenate([points, rng.normal(size=(50, 5))])
    expected = forest.predict_proba(queries)[:, 1]
    np.testing.assert_allclose(forest_score(forest_arrays(forest), queries), expected, atol=1e-12)


def test_linear_codec_restores_what_it_keeps() -> None:
    images = np.random.default_rng(0).integers(0, 256, (30, 8, 8), dtype=np.uint8)
    codec = LinearCodec(latent=5)
    codec.fit(images)
    flat = images.reshape(30, -1) / 255
    pca = PCA(5, random_state=42).fit(flat)
    latents, errors = codec.encode(images)
    restored = pca.inverse_transform(pca.transform(flat))
    np.testing.assert_allclose(errors, np.square(flat - restored).mean(1), rtol=1e-4)
    np.testing.assert_allclose(np.abs(latents), np.abs(pca.transform(flat)), atol=1e-4)
    whole = LinearCodec(latent=512, size=128)
    whole.fit(images)
    assert whole.encode(images)[1].max() < 1e-9
    assert whole.encode(images)[0].shape == (30, 29)
    again = codec_from_spec(codec.spec())
    again.restore(codec.arrays())
    np.testing.assert_array_equal(again.encode(images)[0], latents)
    with pytest.raises(UserError, match="choose linear"):
        codec_from_spec({"kind": "vae"})


def test_saved_and_loaded_gives_the_same(data: Data, tmp_path: Path) -> None:
    method = ForestEstimator(LinearCodec(8), trees=20, second_trees=15).fit(data)
    method.save(tmp_path / "model")
    loaded = ForestEstimator.load(tmp_path / "model")
    rows = data.benchmark.candidates("test")
    scores = method.predict(data, rows)
    np.testing.assert_array_equal(loaded.predict(data, rows), scores)
    order = np.random.default_rng(0).permutation(len(rows))
    np.testing.assert_array_equal(method.predict(data, rows[order]), scores[order])
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".npz"}


def test_unsorted_names_give_scores_to_other_images(data: Data) -> None:
    rows = data.benchmark.candidates("test")
    options = {"trees": 20, "second_trees": 15}
    right = ForestEstimator(LinearCodec(8), **options).fit(data)
    wrong = ForestEstimator(LinearCodec(8), **options, faithful_bugs=["unsorted_names"]).fit(data)
    scores, mixed = right.predict(data, rows), wrong.predict(data, rows)
    # As text, 0, 1, 10, 2, ...: the third name in natural order gets the score of image 10.
    np.testing.assert_array_equal(mixed, scores[[0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]])
    labelled = data.benchmark.candidates("train")
    np.testing.assert_array_equal(wrong.predict(data, labelled), right.predict(data, labelled))
    with pytest.raises(UserError, match="choose unsorted_names"):
        ForestEstimator(faithful_bugs=["all"])
