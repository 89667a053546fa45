"""Likelihood ratios against formulas and scikit-learn, and on toy generators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KernelDensity
from toy_regimes import Toy, draw

from gansfp.errors import UserError
from gansfp.methods.density import statistics
from gansfp.methods.density.estimator import DensityEstimator

Data = Any


@pytest.fixture
def sets() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, (11, 3)), rng.normal(0.5, 1, (80, 3)), rng.normal(0, 1.5, (40, 3))


def test_domias_is_a_ratio_of_kernel_densities(
    sets: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    queries, synthetic, others = sets
    expected = [_scott(queries, side) for side in (synthetic, others)]
    np.testing.assert_allclose(statistics.domias(*sets), expected[0] - expected[1])
    np.testing.assert_allclose(
        statistics.domias(queries, others, synthetic), expected[1] - expected[0]
    )


def _scott(queries: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Log density by scikit-learn, in coordinates in which the kernel is round."""
    root = np.linalg.cholesky(np.cov(points.T))
    x, y = (np.linalg.solve(root, side.T).T for side in (queries, points))
    kernel = KernelDensity(bandwidth=len(points) ** (-1 / 7)).fit(y)
    return kernel.score_samples(x) - np.log(np.linalg.det(root))


def test_no_floor_hides_the_ratio_far_from_all_images() -> None:
    rng = np.random.default_rng(0)
    synthetic, others = rng.normal(size=(200, 16)), rng.normal(size=(200, 16))
    far = 12 * np.eye(16)[:3]
    scores = statistics.domias(far, synthetic, others)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) == 3


def test_gen_lra_is_the_gain_of_adding_the_image(
    sets: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    queries, synthetic, others = sets
    n, dim = others.shape
    cov = np.cov(others.T) * ((n * (dim + 2) / 4.0) ** (-1 / (dim + 4))) ** 2
    for x, score in zip(queries, statistics.gen_lra(*sets, k=5), strict=True):
        near = np.argsort(np.square(synthetic - x).sum(axis=1))[:5]
        gain = 0.0
        for s in synthetic[near]:
            before = np.mean([multivariate_normal.pdf(s, r, cov) for r in others])
            both = [*others, x]
            gain += np.log(np.mean([multivariate_normal.pdf(s, r, cov) for r in both]) / before)
        assert score == pytest.approx(gain)


@pytest.mark.parametrize("classifier", ["logistic", "forest"])
def test_a_classifier_tells_sets_apart_that_differ(classifier: Any) -> None:
    """The published code shows its classifier one class alone and ranks no better than a coin."""
    rng = np.random.default_rng(0)
    synthetic, others = rng.normal(3, 1, (150, 4)), rng.normal(0, 1, (40, 4))
    queries = np.concatenate([rng.normal(3, 1, (50, 4)), rng.normal(0, 1, (50, 4))])
    scores = statistics.discriminator(queries, synthetic, others, classifier)
    assert roc_auc_score(np.repeat([1, 0], 50), scores) > 0.98
    swapped = statistics.discriminator(queries, others, synthetic, classifier)
    assert roc_auc_score(np.repeat([1, 0], 50), swapped) < 0.02


@pytest.fixture(scope="module")
def gmm() -> Toy:
    return draw("gmm", 0, members=700, synthetic=2450, outsiders=1000, asked=350)


@pytest.mark.parametrize(
    ("statistic", "options"),
    [("domias", {"components": 16}), ("gen_lra", {"k": 20, "components": 16}),
     ("forest", {"components": 16, "folds": 2})],
)  # fmt: skip
def test_densities_beat_raw_distance_on_a_smooth_generator(
    gmm: Toy, statistic: Any, options: dict[str, int]
) -> None:
    real = np.concatenate([gmm.candidates, gmm.outsiders])
    outsider = np.arange(len(real)) >= len(gmm.candidates)
    method = DensityEstimator(statistic=statistic, **options)
    scores = method.score_vectors(real, gmm.synthetic, outsider, np.arange(len(real)))
    found = roc_auc_score(gmm.truth, scores[: len(gmm.truth)])
    assert found > roc_auc_score(gmm.truth, gmm.score("nearest")) + 0.01


def test_known_and_asked_non_members_are_scored_alike() -> None:
    """Fitted in sample, a density is far higher at its own images: out of fold it is not."""
    rng = np.random.default_rng(0)
    real, synthetic = rng.normal(size=(400, 8)), rng.normal(size=(300, 8))
    outsider = np.arange(400) < 200
    scores = DensityEstimator().score_vectors(real, synthetic, outsider, np.arange(400))
    assert abs(roc_auc_score(outsider, scores) - 0.5) < 4 * 0.029
    inside = statistics.domias(real, synthetic, real[outsider])
    assert roc_auc_score(outsider, inside) < 0.3


def test_predicts_in_any_order_and_is_saved(membership: Data, tmp_path: Path) -> None:
    method = DensityEstimator(components=1, folds=3).fit(membership)
    rows = membership.benchmark.candidates("test")
    scores = method.predict(membership, rows)
    np.testing.assert_array_equal(method.predict(membership, rows[::-1]), scores[::-1])
    method.save(tmp_path)
    loaded = DensityEstimator.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(membership, rows), scores)
    assert not method.transductive
    assert not method.fits_labels


def test_wrong_options_name_the_key(membership: Data, attribution: Data) -> None:
    with pytest.raises(UserError, match=r"method.statistic=kde: choose domias"):
        DensityEstimator(statistic="kde")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"method.components=8: only . images"):
        DensityEstimator(components=8, folds=2).fit(membership)
    with pytest.raises(UserError, match="density is for task=membership"):
        DensityEstimator().fit(attribution)
