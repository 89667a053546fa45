"""RMIA against numbers by hand and loops."""

from __future__ import annotations

import numpy as np
import pytest

from gansfp.evaluation.ranking import auroc
from gansfp.shadows import rmia


def test_marginals_by_hand():
    shadow = np.array([[0.2], [0.4], [0.5], [0.9]])
    known = np.array([[False], [False], [True], [True]])
    assert rmia.marginal_online(shadow, known) == pytest.approx((0.7 + 0.3) / 2)
    # p_out 0.3, a 0.6: p_in is taken as 0.6 * 0.3 + 0.4 = 0.58
    assert rmia.marginal_offline(shadow, known, 0.6) == pytest.approx((0.3 + 0.58) / 2)
    assert rmia.marginal_offline(shadow, known, 1.0) == pytest.approx(0.3)


def test_the_slope_is_that_of_the_line_through_one():
    rng = np.random.default_rng(0)
    out = rng.uniform(0.1, 0.9, 30)
    shadow = np.stack([out, 0.6 * out + 0.4])
    known = np.array([[False] * 30, [True] * 30])
    np.testing.assert_allclose(rmia.fit_slope(shadow, known), 0.6)
    noisy = shadow + rng.normal(0, 0.02, shadow.shape)
    for image, slope in enumerate(rmia.fit_slope(noisy, known)):
        inside, outside = (np.delete(1 - noisy[row], image) for row in (1, 0))
        assert slope == pytest.approx(np.linalg.lstsq(outside[:, None], inside, rcond=None)[0][0])


def test_an_image_has_no_say_in_its_own_slope():
    rng = np.random.default_rng(1)
    shadow = rng.uniform(0.1, 0.9, (6, 8))
    known = np.tile(np.arange(6)[:, None] % 2 == 0, (1, 8))
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    before = rmia.fit_slope(shadow, known, groups)
    shadow[known[:, 0], 1] = 1.0  # the other image of the first patient
    after = rmia.fit_slope(shadow, known, groups)
    np.testing.assert_array_equal(before[:2], after[:2])
    assert (before[2:] != after[2:]).all()


def test_without_both_sides_there_is_no_correction():
    shadow = np.full((3, 4), 0.5)
    np.testing.assert_array_equal(rmia.fit_slope(shadow, np.zeros((3, 4), bool)), 1.0)


def test_pairs_are_counted_as_in_a_loop():
    rng = np.random.default_rng(2)
    ratio, population = rng.lognormal(size=12), rng.lognormal(size=7)
    compare = rng.random((12, 7)) < 0.8
    expected = [
        np.mean([x / z >= 1.3 for z, yes in zip(population, row, strict=True) if yes])
        for x, row in zip(ratio, compare, strict=True)
    ]
    np.testing.assert_allclose(rmia.rmia_score(ratio, population, 1.3, compare), expected)


def test_with_one_dense_population_it_ranks_as_the_ratio():
    rng = np.random.default_rng(3)
    ratio = rng.lognormal(size=40)
    truth = rng.integers(0, 2, 40)
    score = rmia.rmia_score(ratio, np.sort(ratio) * 1.0000001)
    assert auroc(truth, score) == pytest.approx(auroc(truth, ratio))


def test_an_image_with_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="no population"):
        rmia.rmia_score(np.ones(2), np.ones(1), compare=np.array([[True], [False]]))


def test_likelihood_of_a_copy_is_one():
    np.testing.assert_allclose(rmia.likelihood(np.array([0.0, 2.0]), 2.0), [1.0, np.exp(-1)])
