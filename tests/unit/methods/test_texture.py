"""Texture distributions against numpy and scipy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import generic_filter
from scipy.stats import wasserstein_distance

from gansfp.methods.texture.distributions import FEATURES, texture_quantiles, wasserstein
from gansfp.methods.texture.estimator import TextureDistance

Data = Any


def test_quantiles_are_those_of_the_maps() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 12), dtype=np.uint8)
    quantiles = texture_quantiles(images, 9)
    assert quantiles.shape == (3, len(FEATURES), 9)
    levels = (np.arange(9) + 0.5) / 9
    grey = images[1].astype(float)
    np.testing.assert_allclose(quantiles[1, 0], np.quantile(grey, levels))
    spread = generic_filter(grey, np.std, size=5, mode="reflect")
    np.testing.assert_allclose(quantiles[1, 3], np.quantile(spread, levels), atol=1e-6)
    assert (np.diff(quantiles, axis=2) >= 0).all()
    turned = texture_quantiles(images[:, ::-1].transpose(0, 2, 1), 9)
    np.testing.assert_allclose(turned, quantiles, atol=1e-6)


def test_distance_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    first, second = np.sort(rng.normal(size=(4, 30))), np.sort(rng.normal(1, 2, size=30))
    expected = [wasserstein_distance(row, second) for row in first]
    np.testing.assert_allclose(wasserstein(first, second), expected)


def test_what_is_distributed_alike_scores_higher(membership: Data, tmp_path: Path) -> None:
    pixels = membership.benchmark.store.pixels
    rows = membership.benchmark.candidates("test")
    pixels[rows[:4]] = pixels[rows[:4]] // 4 + 90
    method = TextureDistance(quantiles=16).fit(membership)
    scores = method.predict(membership, rows)
    assert scores[:4].max() < scores[4:].min()
    method.save(tmp_path / "model")
    loaded = TextureDistance.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(membership, rows), scores)
