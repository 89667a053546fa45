"""Mean structural similarity of every image of one set to every image of another."""

from gansfp.features.ssim.matrix import ssim_matrix

__all__ = ["ssim_matrix"]
