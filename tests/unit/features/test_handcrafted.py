"""Handcrafted descriptors against scikit-image, PyWavelets and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
from scipy.ndimage import correlate, gaussian_filter
from scipy.stats import kurtosis, skew
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern
from skimage.filters import gabor_kernel as skimage_gabor
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops

from gansfp.features.handcrafted.descriptor import NAMES, descriptors
from gansfp.features.handcrafted.filters import gabor_kernel, gabor_moments, wavelet_energies
from gansfp.features.handcrafted.glcm import glcm_properties
from gansfp.features.handcrafted.shapes import first_order, lbp_histograms, otsu_components
from gansfp.features.representations import LBP, Handcrafted, from_spec


@pytest.fixture
def images() -> np.ndarray:
    """Smooth, noisy, two-valued, flat."""
    rng = np.random.default_rng(0)
    smooth = 128 + 400 * gaussian_filter(rng.standard_normal((32, 40)), 4)
    noise = rng.integers(0, 256, (32, 40))
    halves = np.where(np.arange(40) < 17, 10, 250) * np.ones((32, 1))
    flat = np.full((32, 40), 77)
    return np.clip(np.stack([smooth, noise, halves, flat]), 0, 255).astype(np.uint8)


def test_glcm_is_that_of_scikit_image(images: np.ndarray) -> None:
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    expected = []
    for image in images:
        matrix = graycomatrix(image, [1], angles, levels=256, symmetric=True, normed=True)
        names = ("contrast", "correlation", "energy", "homogeneity")
        expected.append(np.concatenate([graycoprops(matrix, name)[0] for name in names]))
    np.testing.assert_allclose(glcm_properties(images), expected, rtol=1e-6, atol=1e-9)


def test_gabor_is_the_formula(images: np.ndarray) -> None:
    kernel = gabor_kernel(0.3, 45)
    x, y, theta = 3, -2, np.pi / 4
    along, across = x * np.cos(theta) + y * np.sin(theta), -x * np.sin(theta) + y * np.cos(theta)
    expected = np.exp(-(along**2 + 0.25 * across**2) / 32) * np.cos(2 * np.pi * 0.3 * along)
    # OpenCV: the element at (row, column) = (10 - y, 10 - x) belongs to (x, y).
    assert kernel[10 - y, 10 - x] == pytest.approx(expected)
    # scikit-image's kernel has the same shape up to a factor, and no bound of 21 pixels.
    theirs = skimage_gabor(0.3, theta, sigma_x=4, sigma_y=8, n_stds=3).real
    middle = np.array(theirs.shape) // 2
    part = theirs[middle[0] - 10 : middle[0] + 11, middle[1] - 10 : middle[1] + 11]
    np.testing.assert_allclose(kernel, part / part[10, 10], atol=1e-9)
    moments = gabor_moments(images, frequencies=(0.3,), angles=(45.0,))
    for image, (mean, variance) in zip(images, moments, strict=True):
        response = correlate(image.astype(float), kernel, mode="mirror")
        assert mean == pytest.approx(response.mean(), rel=1e-4, abs=1e-2)
        assert variance == pytest.approx(response.var(), rel=1e-4, abs=1e-2)


def test_wavelets_keep_the_energy(images: np.ndarray) -> None:
    energies = wavelet_energies(images)
    assert energies.shape == (4, 7)
    np.testing.assert_allclose(energies.sum(1), np.square(images.astype(float)).sum((1, 2)))
    bands = pywt.wavedec2(images[1].astype(float), "haar", level=2)
    expected = [np.square(bands[0]).sum()]
    expected += [np.square(part).sum() for details in bands[1:] for part in details]
    np.testing.assert_allclose(energies[1], expected)


def test_first_order_is_that_of_scipy(images: np.ndarray) -> None:
    flat = images[:3].reshape(3, -1).astype(float)
    expected = np.stack([flat.mean(1), flat.var(1), skew(flat, axis=1), kurtosis(flat, axis=1)], 1)
    np.testing.assert_allclose(first_order(images)[:3], expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(first_order(images)[3], [77, 0, 0, 0])


def test_components_are_those_of_scikit_image(images: np.ndarray) -> None:
    for image, found in zip(images[:3], otsu_components(images), strict=False):
        areas = [region.area for region in regionprops(label(image > threshold_otsu(image)))]
        np.testing.assert_allclose(found, [len(areas), np.mean(areas), np.std(areas)])
    np.testing.assert_array_equal(otsu_components(images)[3], 0)
    np.testing.assert_array_equal(otsu_components(images)[2], [1, 32 * 23, 0])


def test_lbp_is_that_of_scikit_image(images: np.ndarray) -> None:
    found = lbp_histograms(images, 8, 1)
    assert found.shape == (4, 10)
    for image, histogram in zip(images, found, strict=True):
        codes = local_binary_pattern(image, 8, 1, method="uniform")
        expected = np.histogram(codes, bins=np.arange(11), density=True)[0]
        np.testing.assert_allclose(histogram, expected)
    assert lbp_histograms(images, 24, 3).shape == (4, 26)


def test_there_are_48_named_values(images: np.ndarray) -> None:
    values = descriptors(images)
    assert values.shape == (4, 48)
    assert len(set(NAMES)) == len(NAMES) == 48
    assert np.isfinite(values).all()
    column = dict(zip(NAMES, values.T, strict=True))
    np.testing.assert_allclose(column["first_mean"], images.mean((1, 2)))
    np.testing.assert_allclose(column["glcm_contrast_0"], glcm_properties(images)[:, 0])
    np.testing.assert_allclose(column["gabor_0.5_90_variance"], gabor_moments(images)[:, -1])
    np.testing.assert_allclose(column["wavelet_d1"], wavelet_energies(images)[:, -1])
    np.testing.assert_allclose(column["otsu_count"], otsu_components(images)[:, 0])
    np.testing.assert_array_equal(descriptors(images[1:2]), values[1:2])


def test_they_are_representations(images: np.ndarray) -> None:
    for representation, width in ((LBP(), 10), (LBP(16, 2), 18), (Handcrafted(), 48)):
        vectors = from_spec(representation.spec()).encode(images)
        assert vectors.dtype == np.float32
        assert vectors.shape == (4, width)
        np.testing.assert_array_equal(vectors, representation.encode(images))
