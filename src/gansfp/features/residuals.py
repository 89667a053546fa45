"""What a denoiser takes away from an image: its noise residual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy import ndimage

from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Denoiser = Literal["gaussian", "median", "wavelet", "nlm"]

_GAUSSIAN_SIGMA = 1.0
_MEDIAN_SIDE = 3
_BLOCK = 256
_MIDDLE, _GAIN = 128, 4


def residuals(images: NDArray[np.uint8], denoiser: Denoiser = "gaussian") -> NDArray[np.float32]:
    """Subtract from each image what a denoiser makes of it.

    Where the fingerprints of generators are looked for: Marra et al., "Do GANs leave artificial
    fingerprints?", MIPR 2019.

    Args:
        images: uint8, shape (N, H, W).
        denoiser: `gaussian` (standard deviation 1 pixel), `median` (3x3), `wavelet` (BayesShrink,
            soft, Daubechies 1: scikit-image's defaults) or `nlm` (non-local means of 5x5 patches
            within 6 pixels, as strong as the estimated noise).

    Returns:
        Residuals in units of the grey range, float32, shape (N, H, W).

    Raises:
        UserError: There is no such denoiser.
    """
    check_denoiser(denoiser)
    result = np.empty(images.shape, np.float32)
    for start in range(0, len(images), _BLOCK):
        grey = images[start : start + _BLOCK].astype(np.float64) / 255
        result[start : start + _BLOCK] = grey - _denoised(grey, denoiser)
    return result


def residual_images(images: NDArray[np.uint8], denoiser: Denoiser) -> NDArray[np.uint8]:
    """Turn images into their residuals, as images: for methods that read nothing else.

    A fixed map, the same for every image: no residual is grey value 128, and a residual r of the
    grey range is 128 + 4 * 255 * r, cut at 0 and 255 (beyond an eighth of the range).

    Args:
        images: uint8, shape (N, H, W).
        denoiser: See `residuals`.

    Returns:
        uint8, shape (N, H, W).
    """
    result = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), _BLOCK):
        found = residuals(np.asarray(images[start : start + _BLOCK]), denoiser)
        grey = _MIDDLE + _GAIN * 255 * found
        result[start : start + _BLOCK] = np.rint(grey).clip(0, 255).astype(np.uint8)
    return result


def check_denoiser(denoiser: str) -> None:
    """Refuse a denoiser that does not exist.

    Raises:
        UserError: Names those that do.
    """
    if denoiser not in get_args(Denoiser):
        raise UserError(f"denoiser={denoiser}: choose {', '.join(get_args(Denoiser))}")


def _denoised(grey: NDArray[np.float64], denoiser: Denoiser) -> NDArray[np.float64]:
    if denoiser == "gaussian":
        smooth = ndimage.gaussian_filter(grey, (0, _GAUSSIAN_SIGMA, _GAUSSIAN_SIGMA))
        return np.asarray(smooth, np.float64)
    if denoiser == "median":
        return np.asarray(ndimage.median_filter(grey, (1, _MEDIAN_SIDE, _MEDIAN_SIDE)), np.float64)
    one = _wavelet if denoiser == "wavelet" else _non_local_means
    return np.stack([one(image) for image in grey])


def _wavelet(image: NDArray[np.float64]) -> NDArray[np.float64]:
    from skimage.restoration import denoise_wavelet

    # BayesShrink divides by the spread of each band, which an even image does not have.
    return image if np.ptp(image) == 0 else np.asarray(denoise_wavelet(image), np.float64)


def _non_local_means(image: NDArray[np.float64]) -> NDArray[np.float64]:
    from skimage.restoration import denoise_nl_means, estimate_sigma

    sigma = float(estimate_sigma(image))
    if not sigma > 0:
        return image
    found = denoise_nl_means(
        image, patch_size=5, patch_distance=6, h=0.8 * sigma, sigma=sigma, fast_mode=True
    )
    return np.asarray(found, np.float64)
