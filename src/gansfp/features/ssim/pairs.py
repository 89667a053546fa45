"""Structural similarity of given pairs, at one scale or several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from gansfp.errors import UserError
from gansfp.features.ssim.constants import C1, C2

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""What each scale weighs, fine to coarse (Wang, Simoncelli and Bovik 2003)."""


def ssim_pairs(left: Tensor, right: Tensor, window: int = 7) -> Tensor:
    """Compute the mean structural similarity of pairs, as `ssim_matrix` defines it.

    Args:
        left: Grey levels from 0 to 255, of any kind of number, shape (n, H, W).
        right: The same, shape (n, H, W).
        window: Side of the window, pixels.

    Returns:
        From -1 to 1, float64, shape (n,).

    Raises:
        UserError: The window is larger than the images.
    """
    luminance, contrast = _parts(left.double(), right.double(), window)
    return (luminance * contrast).mean(dim=(1, 2))


def ms_ssim_pairs(left: Tensor, right: Tensor, window: int = 7) -> Tensor:
    """Compute the multi-scale structural similarity of pairs.

    Wang, Simoncelli and Bovik (Asilomar 2003) with a uniform window: contrast and structure at up
    to five scales, each half the resolution of the one before, and luminance at the coarsest.
    Images that have no room for five scales take as many as the window fits into, with weights that
    sum to 1. A negative mean counts as 0, since it has no fractional power.

    Args:
        left: Grey levels from 0 to 255, of any kind of number, shape (n, H, W).
        right: The same, shape (n, H, W).
        window: Side of the window, pixels.

    Returns:
        From 0 to 1, float64, shape (n,).

    Raises:
        UserError: The window is larger than the images.
    """
    one, two = left.double(), right.double()
    scales = count_scales(min(left.shape[1:]), window)
    total = sum(WEIGHTS[:scales])
    product = one.new_ones(len(one))
    for number in range(scales):
        luminance, contrast = _parts(one, two, window)
        seen = luminance * contrast if number == scales - 1 else contrast
        product *= seen.mean(dim=(1, 2)).clamp(min=0) ** (WEIGHTS[number] / total)
        if number < scales - 1:
            one, two = (F.avg_pool2d(side[:, None], 2)[:, 0] for side in (one, two))
    return product


def count_scales(side: int, window: int) -> int:
    """Count the scales, at most five, at which the window fits into images of this side."""
    return max(1, sum(side >> number >= window for number in range(len(WEIGHTS))))


def _parts(left: Tensor, right: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast times structure, of each window, (n, H', W')."""
    if window > min(left.shape[1:]):
        raise UserError(f"window={window}: images have {min(left.shape[1:])} pixels a side")

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values[:, None], window, stride=1)[:, 0]

    sample = window**2 / (window**2 - 1)
    one, two = mean(left), mean(right)
    spread = sample * (mean(left.square()) + mean(right.square()) - one.square() - two.square())
    shared = sample * (mean(left * right) - one * two)
    luminance = (2 * one * two + C1) / (one.square() + two.square() + C1)
    return luminance, (2 * shared + C2) / (spread + C2)
