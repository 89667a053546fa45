"""Noise fingerprints find what is planted as well as theory says, and nothing where nothing is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.ndimage import gaussian_filter
from scipy.stats import norm

from gansfp.errors import UserError
from gansfp.methods.fingerprint.estimator import FingerprintEstimator
from gansfp.methods.fingerprint.patterns import Whitening, correlations

CLASSES = ("t1", "t2", "t3", "t4")
SIDE, TRAIN, TEST, SIGMA = 32, 100, 250, 20.0
TRUTH = np.repeat(np.arange(4), TEST)


def planted(datamodule, amplitude: float, anatomy: bool = False, colour: bool = False):
    """White noise of 20 grey levels with a pattern of `amplitude` times that in each class."""
    rng = np.random.default_rng(0)
    patterns = np.linalg.qr(rng.standard_normal((SIDE * SIDE, 4)))[0].T
    patterns = patterns.reshape(4, SIDE, SIDE) * SIDE  # mean square 1, orthogonal
    shapes = np.zeros((4, SIDE, SIDE))
    if anatomy:
        fields = rng.standard_normal((4, SIDE, SIDE))
        shapes = gaussian_filter(fields, (0, 1, 1)) * 12

    def draw(n: int, kind: int, strength: float) -> np.ndarray:
        noise = rng.standard_normal((n, SIDE, SIDE))
        if colour:  # strong in low frequencies, a tenth as strong in high ones
            noise = 3 * gaussian_filter(noise, (0, 1, 1)) + 0.1 * noise
        noise += strength * patterns[kind]
        return np.clip(np.rint(128 + SIGMA * noise + shapes[kind]), 0, 255)

    parts = []
    for kind, name in enumerate(CLASSES):
        parts.append(("train", "real", name, draw(400, kind, 0.0), None))
        parts.append(("train", "generated", name, draw(TRAIN, kind, amplitude), None))
    parts += [
        ("test", "generated_unknown", None, draw(TEST, kind, amplitude), None) for kind in range(4)
    ]
    return datamodule("attribution", parts, CLASSES, fold=None)


def expected_accuracy(amplitude: float) -> float:
    """One signal among four: P(z + d > all others), z and others standard normal.

    The correlation with the mean of TRAIN images has a signal-to-noise ratio of
    d = a sqrt(pixels) / sqrt(1 + 1 / (TRAIN a^2)).
    """
    d = amplitude * SIDE / np.sqrt(1 + 1 / (TRAIN * amplitude**2))
    return quad(lambda z: norm.pdf(z - d) * norm.cdf(z) ** 3, -8, 8 + d)[0]


def accuracy(method: FingerprintEstimator, data) -> float:
    found = method.predict(data, data.benchmark.candidates("test"))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    return float((found.argmax(axis=1) == TRUTH).mean())


@pytest.mark.parametrize("amplitude", [0.06, 0.09])
def test_a_planted_pattern_is_found_as_well_as_theory_says(datamodule, amplitude: float) -> None:
    measured = accuracy(FingerprintEstimator().fit(data := planted(datamodule, amplitude)), data)
    assert measured == pytest.approx(expected_accuracy(amplitude), abs=0.045)  # 3 SE of 1,000


@pytest.mark.parametrize("denoiser", ["gaussian", "median", "wavelet"])
def test_every_denoiser_finds_a_strong_pattern(datamodule, denoiser: str) -> None:
    data = planted(datamodule, 0.2)
    assert accuracy(FingerprintEstimator(denoiser).fit(data), data) > 0.9


@pytest.mark.parametrize("denoiser", ["gaussian", "median"])
def test_without_a_pattern_it_is_at_chance(datamodule, denoiser: str) -> None:
    data = planted(datamodule, 0.0)
    assert accuracy(FingerprintEstimator(denoiser).fit(data), data) == pytest.approx(0.25, abs=0.05)


def test_whitening_is_worth_its_while(datamodule) -> None:
    data = planted(datamodule, 0.03, colour=True)
    white, plain = (FingerprintEstimator(whiten=w).fit(data) for w in (True, False))
    assert accuracy(white, data) > accuracy(plain, data) + 0.1


def test_anatomy_of_the_subset_is_taken_for_a_fingerprint_unless_subtracted(datamodule) -> None:
    data = planted(datamodule, 0.0, anatomy=True)
    assert accuracy(FingerprintEstimator().fit(data), data) > 0.4
    without = FingerprintEstimator(subtract_real=True).fit(data)
    # What is left of each fingerprint is the noise of two means.
    left = correlations(without.fingerprints, without.fingerprints)
    assert np.abs(left - np.eye(4)).max() < 0.15


def test_probabilities_are_calibrated(datamodule) -> None:
    data = planted(datamodule, 0.07)
    method = FingerprintEstimator().fit(data)
    found = method.predict(data, data.benchmark.candidates("test"))
    confidence = found.max(axis=1)
    right = found.argmax(axis=1) == TRUTH
    assert confidence.mean() == pytest.approx(right.mean(), abs=0.07)
    high = confidence > np.median(confidence)
    assert right[high].mean() == pytest.approx(confidence[high].mean(), abs=0.09)


def test_white_residuals_have_a_flat_spectrum() -> None:
    rng = np.random.default_rng(0)
    coloured = gaussian_filter(rng.standard_normal((300, 16, 12)), (0, 1, 0.5), mode="wrap") + 3
    whitening = Whitening.fit(coloured.astype(np.float32))
    white = whitening.apply(coloured.astype(np.float32)).reshape(300, 16, 12)
    np.testing.assert_allclose((np.abs(np.fft.fft2(white)) ** 2).mean(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-5)


def test_correlations_are_pearsons() -> None:
    rng = np.random.default_rng(1)
    vectors, prints = rng.standard_normal((5, 30)), rng.standard_normal((3, 30))
    expected = np.corrcoef(vectors, prints)[:5, 5:]
    np.testing.assert_allclose(correlations(vectors, prints), expected, atol=1e-12)
    assert (correlations(np.ones((1, 30)), prints) == 0).all()


def test_fingerprints_are_means_of_residuals(datamodule) -> None:
    data = planted(datamodule, 0.1)
    method = FingerprintEstimator(whiten=False).fit(data)
    rows = data.benchmark.rows("train", "generated", "t2")
    grey = data.benchmark.images(rows) / 255
    left = grey - gaussian_filter(grey, (0, 1, 1))
    np.testing.assert_allclose(method.fingerprints[1], left.mean(axis=0).ravel(), atol=1e-6)


def test_it_is_read_back_as_it_was_and_scores_image_by_image(datamodule, tmp_path: Path) -> None:
    data = planted(datamodule, 0.1)
    method = FingerprintEstimator("median", subtract_real=True).fit(data)
    method.save(tmp_path)
    rows = data.benchmark.candidates("test")[::100]
    found = method.predict(data, rows)
    loaded = FingerprintEstimator.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(data, rows), found)
    one_by_one = np.concatenate([method.predict(data, rows[k : k + 1]) for k in range(len(rows))])
    np.testing.assert_allclose(one_by_one, found, rtol=1e-9)
    assert method.predict(data, rows[:0]).shape == (0, 4)


def test_held_out_images_are_in_no_fingerprint(datamodule) -> None:
    data = planted(datamodule, 0.1)
    other = planted(datamodule, 0.1)
    for one in (data, other):
        one._fold = 0
        assert len(one.holdout_rows) > 50
    other.benchmark.store.pixels[other.holdout_rows] = 0
    first, second = (FingerprintEstimator().fit(one) for one in (data, other))
    np.testing.assert_array_equal(first.fingerprints, second.fingerprints)


def test_what_it_cannot_do(membership, attribution) -> None:
    with pytest.raises(UserError, match="task=attribution"):
        FingerprintEstimator().fit(membership)
    with pytest.raises(UserError, match="denoiser=bm3d: choose gaussian"):
        FingerprintEstimator("bm3d")
    with pytest.raises(UserError, match=r"class t1 has 8 generated images.*needs 9"):
        FingerprintEstimator(folds=9).fit(attribution)


def test_fingerprints_of_real_images_know_anatomy_and_no_generator(datamodule) -> None:
    anatomy = planted(datamodule, 0.0, anatomy=True)
    assert accuracy(FingerprintEstimator(reference="real").fit(anatomy), anatomy) > 0.5
    hand = planted(datamodule, 0.2)
    found = accuracy(FingerprintEstimator(reference="real").fit(hand), hand)
    assert found == pytest.approx(0.25, abs=0.05)
    with pytest.raises(UserError, match="subtract_real"):
        FingerprintEstimator(reference="real", subtract_real=True)
