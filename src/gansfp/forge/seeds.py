"""Seeds of the forge's parts, derived from one: no two parts share a stream of chance."""

from __future__ import annotations

import numpy as np
import torch


def derive_seed(*parts: int | str) -> int:
    """Mix numbers and names into a seed of 63 bits (NumPy's `SeedSequence`)."""
    words: list[int] = []
    for part in parts:
        words += [len(part), *part.encode()] if isinstance(part, str) else [part]
    low, high = np.random.SeedSequence(words).generate_state(2)
    return (int(high) << 32 | int(low)) >> 1


def torch_generator(device: torch.device, *parts: int | str) -> torch.Generator:
    """Make a generator on a device that knows nothing but its seed."""
    return torch.Generator(device=device).manual_seed(derive_seed(*parts))
