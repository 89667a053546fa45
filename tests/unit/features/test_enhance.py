"""Enhancement filters against scikit-image, scipy and the formula."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import convolve, correlate
from skimage.feature import hessian_matrix, hessian_matrix_eigvals
from skimage.filters import laplace

from gansfp.errors import UserError
from gansfp.features.enhance import bilateral, enhance, gaussian, hessian, laplacian


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 20, 24)).astype(np.float32)


def test_gaussian_is_opencvs_kernel(images: np.ndarray) -> None:
    # cv2.getGaussianKernel(5, 0): sigma = 0.3 ((5 - 1) / 2 - 1) + 0.8 = 1.1
    row = np.exp(-(np.arange(-2, 3) ** 2) / (2 * 1.1**2))
    row /= row.sum()
    for image, filtered in zip(images, gaussian(images), strict=True):
        expected = correlate(image.astype(float), np.outer(row, row), mode="mirror")
        np.testing.assert_allclose(filtered, expected, atol=1e-3)


def test_laplacian_is_that_of_scikit_image(images: np.ndarray) -> None:
    for image, filtered in zip(images, laplacian(images), strict=True):
        inside = np.abs(laplace(image, ksize=3))[1:-1, 1:-1]
        np.testing.assert_allclose(filtered[1:-1, 1:-1], inside, atol=1e-3)
        kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
        expected = np.abs(convolve(image.astype(float), kernel, mode="mirror"))
        np.testing.assert_allclose(filtered, expected, atol=1e-3)


def test_hessian_is_that_of_scikit_image(images: np.ndarray) -> None:
    for image, filtered in zip(images, hessian(images), strict=True):
        elements = hessian_matrix(image, sigma=1, order="rc", use_gaussian_derivatives=False)
        np.testing.assert_allclose(filtered, hessian_matrix_eigvals(elements).max(0), atol=1e-3)


def test_bilateral_is_the_formula(images: np.ndarray) -> None:
    smooth = bilateral(images, size=5, sigma_grey=40, sigma_space=2)
    grey = np.pad(images[1].astype(float), 2, mode="reflect")
    for row, column in ((0, 0), (7, 11), (19, 23)):
        total = weight = 0.0
        for y in range(-2, 3):
            for x in range(-2, 3):
                if x * x + y * y > 4:
                    continue
                near, here = grey[row + 2 + y, column + 2 + x], grey[row + 2, column + 2]
                share = np.exp(-(x * x + y * y) / 8 - (near - here) ** 2 / (2 * 40**2))
                total, weight = total + share * near, weight + share
        assert smooth[1, row, column] == pytest.approx(total / weight, abs=1e-3)


def test_results_are_grey_bytes_and_none_is_none(images: np.ndarray) -> None:
    grey = images.astype(np.uint8)
    assert enhance(grey, "none") is grey
    for name in ("gaussian", "laplacian", "hessian", "bilateral"):
        filtered = enhance(grey, name)
        assert filtered.dtype == np.uint8
        assert filtered.shape == grey.shape
        np.testing.assert_array_equal(enhance(grey[1:2], name), filtered[1:2])
        assert len(enhance(grey[:0], name)) == 0
    with pytest.raises(UserError, match="'median': choose none, gaussian"):
        enhance(grey, "median")
