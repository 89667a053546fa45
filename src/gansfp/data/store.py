"""The pixels of a benchmark, gathered by row on whatever device asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ImageStore:
    """All images of a benchmark as one array.

    On a GPU the store is copied once where it fits into half of the free memory; otherwise rows are
    gathered on the CPU and copied from pinned memory.

    Attributes:
        pixels: Grey values, uint8, shape (N, H, W); may be memory-mapped.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        if pixels.ndim != 3 or pixels.dtype.name != "uint8":
            raise ValueError(f"pixels are {pixels.dtype} {pixels.shape}, expected uint8 (N, H, W)")
        self.pixels = pixels
        self._host = torch.from_numpy(pixels)
        self._resident: dict[torch.device, Tensor | None] = {torch.device("cpu"): self._host}

    def __len__(self) -> int:
        return len(self.pixels)

    def gather(self, rows: Tensor | NDArray[np.int64], device: torch.device | str) -> Tensor:
        """Copy images to a device.

        Args:
            rows: Row numbers, int64, shape (B,) or (B, P), on any device.
            device: Where the images are wanted.

        Returns:
            Grey values, uint8, shape (B, H, W) or (B, P, H, W), on `device`.
        """
        target = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0"
        shape = torch.as_tensor(rows).shape
        wanted = torch.as_tensor(rows, dtype=torch.int64).flatten()
        if target not in self._resident:
            self._resident[target] = self._host.to(target) if self._fits(target) else None
        resident = self._resident[target]
        if resident is not None:
            found = resident.index_select(0, wanted.to(target, non_blocking=True))
            return found.view(*shape, *found.shape[1:])
        picked = self._host.index_select(0, wanted.cpu())
        if target.type == "cuda":
            picked = picked.pin_memory()
        return picked.to(target, non_blocking=True).view(*shape, *picked.shape[1:])

    def _fits(self, device: torch.device) -> bool:
        if device.type != "cuda":
            return False
        free, _ = torch.cuda.mem_get_info(device)
        return self._host.nbytes <= free / 2
