"""All-pairs SSIM against scikit-image, and what must not change it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from gansfp.errors import UserError
from gansfp.features.ssim import ssim_matrix, tiled

if TYPE_CHECKING:
    from collections.abc import Callable

CPU = torch.device("cpu")


def _images(n: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth fields with noise, black and white borders, and two flat images."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.standard_normal((n, height, width)), (0, 4, 4))
    images = 128 + smooth * 40 / smooth.std() + rng.normal(0, 6, smooth.shape)
    images[:, :, : width // 4] = 0
    images[:, : height // 5] = 255
    images[0], images[1] = 200, 0
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def _tiled(left: np.ndarray, right: np.ndarray, window: int = 7, tile: int = 4096) -> np.ndarray:
    """What a GPU runs, on the CPU."""
    return tiled.similarities(left, right, window, CPU, tile)


def _expected(left: np.ndarray, right: np.ndarray, window: int) -> list[list[float]]:
    return [
        [structural_similarity(x, y, data_range=255, win_size=window) for y in right] for x in left
    ]


both = pytest.mark.parametrize("similarity", [ssim_matrix, _tiled])


@both
@pytest.mark.parametrize(("height", "width"), [(64, 64), (33, 50), (7, 7)])
@pytest.mark.parametrize("window", [3, 7])
def test_every_pair_is_that_of_scikit_image(
    similarity: Callable[..., np.ndarray], height: int, width: int, window: int
) -> None:
    left, right = _images(4, height, width), _images(5, height, width, seed=1)
    expected = _expected(left, right, window)
    np.testing.assert_allclose(similarity(left, right, window), expected, rtol=0, atol=1e-6)


@both
@pytest.mark.parametrize("window", [7, 15])
def test_wide_windows_and_extreme_greys_stay_exact(
    similarity: Callable[..., np.ndarray], window: int
) -> None:
    """Stripes all but white: every window has the same mean, and rounding it would not average out.

    A covariance from rounded means is 5e-5 off here.
    """
    rng = np.random.default_rng(0)
    images = (rng.integers(0, 2, (6, 40, 40)) * 255).astype(np.uint8)
    images[:2, 5:] = 254
    images[2:4] = 255
    images[2, :, ::window] = 254
    images[3, :, 3::window] = 253
    expected = _expected(images, images, window)
    np.testing.assert_allclose(similarity(images, images, window), expected, rtol=0, atol=2e-6)


def test_tiles_and_blocks_change_no_value() -> None:
    left, right = _images(9, 32, 32), _images(17, 32, 32, seed=1)
    whole = ssim_matrix(left, right)
    for block in (1, 32 * 32 * 3):
        np.testing.assert_allclose(ssim_matrix(left, right, block=block), whole, rtol=0, atol=2e-7)
    for tile in (1, 32 * 6, 1 << 20):
        np.testing.assert_allclose(_tiled(left, right, tile=tile), whole, rtol=0, atol=5e-7)


@both
def test_it_is_symmetric_and_one_for_copies(similarity: Callable[..., np.ndarray]) -> None:
    images = _images(5, 32, 40)
    matrix = similarity(images, images)
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
