"""The planted benchmarks hold what their names say, before any method looks at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from planted import CHANCE, FOUND, LABELLED, SYNTHETIC, TEST, planted_benchmark, planted_kappa
from scipy.spatial.distance import cdist


@pytest.mark.parametrize("kind", ["near_copies", "texture_shift", "independent_draws"])
def test_sets_have_their_sizes_and_the_truth_stays_outside(kind: str) -> None:
    planted = planted_benchmark(kind)
    benchmark = planted.benchmark
    assert len(benchmark.candidates("train")) == 2 * LABELLED
    assert len(benchmark.candidates("test")) == 2 * TEST == 2 * planted.truth.sum()
    assert len(benchmark.rows(role="generated")) == 2 * SYNTHETIC
    assert set(benchmark.labels(benchmark.candidates("test"))) == {None}
    again = planted_benchmark(kind)
    np.testing.assert_array_equal(again.benchmark.store.pixels, benchmark.store.pixels)
    assert (planted_benchmark(kind, seed=1).benchmark.store.pixels != benchmark.store.pixels).any()


def test_copies_are_nearest_and_a_shift_is_only_in_the_texture() -> None:
    for kind, copied in (("near_copies", True), ("texture_shift", False)):
        planted = planted_benchmark(kind)
        benchmark, used = planted.benchmark, planted.truth == 1
        test = benchmark.images(benchmark.candidates("test")).astype(float)
        synthetic = benchmark.images(benchmark.rows(role="generated")).astype(float)
        nearest = cdist(test.reshape(len(test), -1), synthetic.reshape(len(synthetic), -1)).min(1)
        assert (nearest[used].max() < nearest[~used].min() / 2) == copied
        fine = np.abs(np.diff(test, axis=2)).mean(axis=(1, 2))
        assert (fine[used].max() < fine[~used].min()) == (not copied)
        brightness, contrast = test.mean((1, 2)), test.std((1, 2))
        for value in (brightness, contrast):
            gap = abs(value[used].mean() - value[~used].mean())
            assert gap < 3 * value.std() * np.sqrt(2 / TEST)


def test_the_shipped_distance_finds_copies_and_nothing_else(tmp_path: Path) -> None:
    recipe = "beyond/nearest_pixels"
    assert planted_kappa(recipe, "near_copies", tmp_path / "copies") > FOUND
    assert abs(planted_kappa(recipe, "independent_draws", tmp_path / "none")) < CHANCE
