"""What every source of real images gives."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RealImages:
    """Real images of one size.

    Attributes:
        pixels: Grey levels, uint8, shape (N, H, W).
        names: What the user calls each image; unique.
        groups: The patient, or whatever keeps images together; the name where nothing is known.
        hashes: Hash of each image's pixels as its source holds them, before any resize.
        covariates: What else the source knows of each image, such as severity or sex: numbers or
            texts of shape (N,) by name. Empty for most sources.
    """

    pixels: NDArray[np.uint8]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    hashes: tuple[str, ...]
    covariates: Mapping[str, NDArray[np.float64] | NDArray[np.str_]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values in self.covariates.items():
            if len(values) != len(self.names):
                raise ValueError(
                    f"covariate {name}: {len(values)} values, {len(self.names)} images"
                )

    def __len__(self) -> int:
        return len(self.names)

    @property
    def fingerprint(self) -> str:
        """Hash of all names, groups, pixels and covariates: equal for equal inputs of a forge."""
        digest = hashlib.blake2b(digest_size=16)
        for parts in (self.names, self.groups, self.hashes):
            digest.update("\0".join(parts).encode("utf-8", "surrogateescape") + b"\n")
        digest.update(repr(self.pixels.shape).encode())
        digest.update(self.pixels.tobytes())
        for name in sorted(self.covariates):
            values = self.covariates[name]
            if values.dtype.kind == "U":
                content = "\0".join(values.tolist()).encode("utf-8", "surrogateescape")
            else:
                content = values.astype("<f8").tobytes()
            digest.update(f"\n{name}\n".encode() + content)
        return digest.hexdigest()


class Source(ABC):
    """Reads real images from somewhere."""

    @abstractmethod
    def read(self) -> RealImages:
        """Read all images.

        Raises:
            UserError: Something cannot be read; the message names it and the cure.
        """
