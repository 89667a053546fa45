"""Augmentation of whole batches on the device that holds them."""

from gansfp.data.augment.pipeline import Augment, Transform, unit_range

__all__ = ["Augment", "Transform", "unit_range"]
