"""LiRA against numbers by hand, scipy, and tensorflow-privacy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gansfp.shadows.lira import fit_normals, lira_offline, lira_online, reference_score


def drawn():
    """Ten shadow values of four images, four to six of them inside."""
    rng = np.random.default_rng(0)
    shadow, observed = rng.normal(size=(10, 4)), rng.normal(size=4)
    known = np.zeros((10, 4), dtype=bool)
    for image in range(4):
        known[rng.permutation(10)[: 4 + image % 3], image] = True
    return observed, shadow, known


def test_by_hand():
    shadow = np.array([[1.0], [3.0], [4.0], [8.0]])
    known = np.array([[False], [False], [True], [True]])
    inside, outside = fit_normals(shadow, known), fit_normals(shadow, ~known)
    assert (inside.mean, outside.mean) == (6.0, 2.0)
    assert inside.sd == pytest.approx(np.sqrt(8))
    assert outside.sd == pytest.approx(np.sqrt(2))
    observed = np.array([5.0])
    assert lira_offline(observed, shadow, known) == pytest.approx(3 / np.sqrt(2))
    # log sqrt(2) - log sqrt(8) - (5 - 6)^2 / 16 + (5 - 2)^2 / 4
    assert lira_online(observed, shadow, known) == pytest.approx(-np.log(2) - 1 / 16 + 9 / 4)
    assert reference_score(observed, shadow, known) == 3.0


# compute_score_lira and compute_score_offset of tensorflow-privacy 0.8.12
# (privacy_tests/membership_inference_attack/advanced_mia.py), on `drawn()`, with means.
BOTH = {
    True: [-1.62522652, 1.44598981, -1.84268096, -0.80049832],
    False: [-2.07671559, 1.66349936, -0.24829267, -1.75096289],
}
OUT = {
    True: [-0.79129243, -3.63303038, -1.81064806, -0.62942564],
    False: [-0.81157485, -4.29360798, -2.30245973, -0.74851481],
}
OFFSET = [-0.48489083, 1.70398269, 1.09192973, 0.2883116]


@pytest.mark.parametrize("pooled", [True, False])
def test_as_tensorflow_privacy(pooled):
    observed, shadow, known = drawn()
    enough = 64 if pooled else 2
    online = lira_online(observed, shadow, known, enough, ddof=0)
    np.testing.assert_allclose(online, BOTH[pooled], rtol=1e-7)
    normals = fit_normals(shadow, ~known, enough, ddof=0)
    density = stats.norm.logpdf(observed, normals.mean, normals.sd)
    np.testing.assert_allclose(density, OUT[pooled], rtol=1e-7)
    np.testing.assert_allclose(reference_score(observed, shadow, known), OFFSET, rtol=1e-7)


def test_the_offline_score_ranks_as_the_papers_probability():
    observed, shadow, known = drawn()
    normals = fit_normals(shadow, ~known)
    tail = stats.norm.cdf(observed, normals.mean, normals.sd)
    z = lira_offline(observed, shadow, known)
    np.testing.assert_array_equal(np.argsort(z), np.argsort(tail))


def test_shift_and_scale_of_the_statistic_change_nothing():
    observed, shadow, known = drawn()
    for attack in (lira_online, lira_offline):
        expected = attack(observed, shadow, known)
        moved = attack(3 * observed + 7, 3 * shadow + 7, known)
        np.testing.assert_allclose(moved, expected, rtol=1e-9)


def test_an_image_outside_the_pool_changes_no_spread():
    observed, shadow, known = drawn()
    pooled = np.array([True, True, True, False])
    before = lira_offline(observed, shadow, known, pooled=pooled)
    shadow[:, 3] *= 50
    after = lira_offline(observed, shadow, known, pooled=pooled)
    np.testing.assert_array_equal(before[:3], after[:3])


def test_a_missing_side_is_refused():
    observed, shadow, known = drawn()
    known[:, 2] = True
    with pytest.raises(ValueError, match="1 images have no shadow value"):
        lira_offline(observed, shadow, known)
    with pytest.raises(ValueError, match="1 images have no reference generator"):
        reference_score(observed, shadow, known)
