"""All-pairs SSIM against scikit-image, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from gansfp.errors import UserError
from gansfp.features.ssim import ssim_matrix


def _images(n: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth fields with noise, black and white borders, and two flat images."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.standard_normal((n, height, width)), (0, 4, 4))
    images = 128 + smooth * 40 / smooth.std() + rng.normal(0, 6, smooth.shape)
    images[:, :, : width // 4] = 0
    images[:, : height // 5] = 255
    images[0], images[1] = 200, 0
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 50), (7, 7)])
@pytest.mark.parametrize("window", [3, 7])
def test_every_pair_is_that_of_scikit_image(height: int, width: int, window: int) -> None:
    left, right = _images(4, height, width), _images(5, height, width, seed=1)
    expected = [
        [structural_similarity(x, y, data_range=255, win_size=window) for y in right] for x in left
    ]
    np.testing.assert_allclose(ssim_matrix(left, right, window), expected, rtol=0, atol=1e-6)


def test_wide_windows_and_extreme_greys_stay_exact() -> None:
    rng = np.random.default_rng(0)
    images = (rng.integers(0, 2, (4, 40, 40)) * 255).astype(np.uint8)
    images[:2, 5:] = 254
    for window in (5, 9, 11, 13, 15):
        expected = [
            [structural_similarity(x, y, data_range=255, win_size=window) for y in images]
            for x in images
        ]
        np.testing.assert_allclose(ssim_matrix(images, images, window), expected, atol=1e-6)


def test_tiles_and_blocks_change_no_value() -> None:
    left, right = _images(5, 32, 32), _images(7, 32, 32, seed=1)
    whole = ssim_matrix(left, right)
    for tile, block in ((1, 1), (32 * 6, 32 * 32 * 2), (1 << 20, 32 * 32 * 3)):
        np.testing.assert_allclose(
            ssim_matrix(left, right, tile=tile, block=block), whole, rtol=0, atol=5e-7
        )


def test_it_is_symmetric_and_one_for_copies() -> None:
    images = _images(5, 32, 40)
    matrix = ssim_matrix(images, images)
    np.testing.assert_allclose(np.diag(matrix), 1, atol=1e-6)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    assert ssim_matrix(images[:0], images).shape == (0, 5)


def test_what_it_cannot_work_on_is_said() -> None:
    images = _images(2, 16, 16)
    with pytest.raises(UserError, match="window=8: must be odd, from 3 to 15"):
        ssim_matrix(images, images, window=8)
    with pytest.raises(UserError, match="window=9: must be odd, from 3 to 8"):
        ssim_matrix(images[:, :8], images[:, :8], window=9)
    with pytest.raises(ValueError, match="expected uint8"):
        ssim_matrix(images.astype(float), images)
    with pytest.raises(ValueError, match="expected"):
        ssim_matrix(images, images[:, 1:])
