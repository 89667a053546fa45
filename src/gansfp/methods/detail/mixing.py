"""Batches whose images are mixtures of two, by numbers that their keys decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from gansfp.data.draws import derive, uniform

if TYPE_CHECKING:
    from torch import Tensor

Mix = Literal["none", "mixup", "cutmix"]
_STREAM = 1000  # beyond the positions of transforms, which derive keys of their own from these


def mixed(images: Tensor, keys: Tensor, kind: Mix) -> tuple[Tensor, Tensor]:
    """Mix each image of a batch with the one at the mirrored place.

    `mixup` (Zhang et al., ICLR 2018) blends all pixels; `cutmix` (Yun et al., ICCV 2019) copies a
    rectangle of the other image, and leaves fine detail as it is. Shares are uniform in [0, 1], as
    both papers' Beta(1, 1).

    Args:
        images: Float, shape (B, H, W).
        keys: int64, shape (B,).
        kind: `none`, `mixup` or `cutmix`.

    Returns:
        The images, and the share of each that is still its own, shape (B,).
    """
    if kind == "none":
        return images, images.new_ones(len(images))
    unit = uniform(derive(keys, _STREAM), 3).to(images.dtype)
    own = unit[:, 0]
    other = images.flip(0)
    if kind == "mixup":
        weight = own[:, None, None]
        return weight * images + (1 - weight) * other, own
    height, width = images.shape[1:]
    down = _stretch(unit[:, 1], (1 - own).sqrt(), height)
    right = _stretch(unit[:, 2], (1 - own).sqrt(), width)
    covered = down[:, :, None] & right[:, None, :]
    share = 1 - covered.to(images.dtype).mean(dim=(1, 2))
    return torch.where(covered, other, images), share


def _stretch(centre: Tensor, share: Tensor, count: int) -> Tensor:
    """Mark places within `share` of the side around a centre, cut at the ends: bool, (B, count)."""
    place = (torch.arange(count, device=centre.device) + 0.5) / count
    return (place - centre[:, None]).abs() < share[:, None] / 2
