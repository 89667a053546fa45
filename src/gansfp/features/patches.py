"""How well an image can be laid out of the patches of each of several sets of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.features.backbones import device_of
from gansfp.features.precision import full_precision

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from gansfp.features.neighbours import Exclusion

_BLOCK = {"cpu": 1 << 23, "cuda": 1 << 28}
"""Distances that are held at a time: 32 MB or 1 GB."""


def mosaic_distances(
    queries: NDArray[Any],
    references: NDArray[Any],
    sets: NDArray[np.int64],
    side: int,
    stride: int = 1,
    exclude: Exclusion | None = None,
    device: str | torch.device = "auto",
) -> NDArray[np.float64]:
    """Measure the mean distance of an image's patches to the nearest patch at the same place.

    For each place on a grid and each set, the squared distance of the patch of `side` x `side`
    pixels around it to that of the nearest image of the set, per pixel; then the mean over places.
    Each place may have another nearest image: a convolutional diffusion model composes such
    mosaics of its training images (Kamb and Ganguli, "An analytic theory of creativity in
    convolutional diffusion models", ICML 2025). Images are mirrored at their borders.

    Args:
        queries: Grey values, shape (n, H, W).
        references: Grey values in the same units, shape (m, H, W).
        sets: Set of each reference, 0 to K - 1, each of them present, shape (m,).
        side: Odd; 1 compares pixels, a side over twice the image's compares whole images.
        stride: Pixels between places.
        exclude: Pairs that are not compared.
        device: `auto` (the GPU where there is one), `cpu`, `cuda`, ...

    Returns:
        Shape (n, K); infinite where a set has nothing to compare with.

    Raises:
        ValueError: The side is even, or larger than mirroring allows.
    """
    height, width = queries.shape[1:]
    if side < 1 or side % 2 == 0 or side // 2 >= min(height, width):
        raise ValueError(f"patches of side {side}: must be odd, below {2 * min(height, width)}")
    order = np.argsort(sets, kind="stable")
    ends = np.cumsum(np.bincount(sets)).tolist()
    target = device_of(device)
    kept = _Patches.of(references[order], side, stride, target)
    keys = None if exclude is None else exclude.codes()
    result = np.empty((len(queries), len(ends)))
    block = max(1, _BLOCK["cuda" if target.type == "cuda" else "cpu"] // (len(kept) * kept.across))
    with torch.inference_mode(), full_precision():
        for start in range(0, len(queries), block):
            part = slice(start, start + block)
            hidden = None
            if keys is not None:
                same = keys[0][part, None] == keys[1][order][None]
                hidden = torch.from_numpy(same).to(target) if same.any() else None
            asked = _Patches.of(queries[part], side, stride, target)
            result[part] = _mean_nearest(asked, kept, ends, hidden).cpu().numpy()
    return result


@dataclass(frozen=True)
class _Patches:
    """Images, mirrored at their borders, that are cut into patches a row of places at a time."""

    padded: Tensor
    side: int
    stride: int

    @classmethod
    def of(cls, images: NDArray[Any], side: int, stride: int, device: torch.device) -> _Patches:
        grey = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32)).to(device)
        padded = F.pad(grey[:, None], (side // 2,) * 4, mode="reflect")
        return cls(padded, side, stride)

    def __len__(self) -> int:
        return len(self.padded)

    @property
    def across(self) -> int:
        """Places in a row."""
        return (self.padded.shape[3] - self.side) // self.stride + 1

    def rows(self) -> Iterator[Tensor]:
        """Cut rows of places out: (places, images, pixels) each."""
        for top in range(0, self.padded.shape[2] - self.side + 1, self.stride):
            strip = self.padded[:, :, top : top + self.side]
            yield F.unfold(strip, self.side, stride=self.stride).permute(2, 0, 1)


def _mean_nearest(
    queries: _Patches, references: _Patches, ends: list[int], hidden: Tensor | None
) -> Tensor:
    """Average over places the distances to the nearest patch of each set, shape (n, K)."""
    total = torch.zeros(len(queries), len(ends), dtype=torch.float64, device=queries.padded.device)
    places = 0
    for asked, known in zip(queries.rows(), references.rows(), strict=True):
        centre = known.mean(dim=1, keepdim=True)  # fp32 products cancel less about it
        asked, known = asked - centre, known - centre
        lengths = known.square().sum(dim=2)[:, None]
        squared = torch.baddbmm(lengths, asked, known.transpose(1, 2), alpha=-2)
        if hidden is not None:
            squared.masked_fill_(hidden, torch.inf)
        starts = [0, *ends[:-1]]
        least = [squared[:, :, a:b].amin(dim=2) for a, b in zip(starts, ends, strict=True)]
        found = torch.stack(least, dim=2) + asked.square().sum(dim=2)[:, :, None]
        total += found.clamp(min=0).double().sum(dim=0)
        places += len(asked)
    return total / (places * queries.side**2)
