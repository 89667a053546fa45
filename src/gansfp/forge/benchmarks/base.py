"""What every benchmark of the forge has in common, and how its files are written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gansfp.data.writing import write_csv, write_images
from gansfp.forge.seeds import derive_seed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.base import RealImages
    from gansfp.forge.plans import GeneratorPlan, Rows

    Samples = Mapping[str, NDArray[np.uint8]]


class ForgedBenchmark(ABC):
    """Deals real images out to generators and writes folders with known truth.

    Everything is a function of (real images, seed), so an interrupted forge deals the same again.
    """

    task: ClassVar[str]

    def prepare(self, source: RealImages, seed: int) -> RealImages:
        """Change the real images before anything is trained on them or written; here: nothing.

        Args:
            source: As the source gives them.
            seed: As given to `generators`.
        """
        return source

    @abstractmethod
    def generators(self, source: RealImages, seed: int) -> list[GeneratorPlan]:
        """Name the generators and the images that each is trained on.

        Raises:
            UserError: There are too few images.
        """

    @abstractmethod
    def write(
        self, folder: Path, source: RealImages, samples: Samples, seed: int
    ) -> dict[str, Any]:
        """Write images, truth and `groups.csv`.

        Args:
            folder: An empty folder.
            source: The real images, prepared.
            samples: Images of each generator, uint8, shape (count, H, W).
            seed: As given to `generators`.

        Returns:
            For the card: the size of each set, and the source name of each real file.
        """


class BenchmarkFiles:
    """Writes images and keeps account of where the real ones come from.

    Attributes:
        origin: Name in the source by file, of every real image written.
    """

    def __init__(self, folder: Path, source: RealImages, palette: bool) -> None:
        self._folder = folder
        self._source = source
        self._palette = palette
        self._groups: list[tuple[str, str]] = []
        self.origin: dict[str, str] = {}

    def images(self, where: str, stem: str, pixels: NDArray[np.uint8]) -> list[str]:
        """Write images as `<where>/<stem>_1.png`, ...; returns their bare names."""
        return write_images(self._folder / where, stem, pixels, self._palette)

    def real(self, where: str, stem: str, rows: Rows) -> list[str]:
        """Write real images and note their names and groups; returns their bare names."""
        names = self.images(where, stem, self._source.pixels[rows])
        for name, row in zip(names, rows, strict=True):
            self.origin[f"{where}/{name}"] = self._source.names[row]
            self._groups.append((f"{where}/{name}", self._source.groups[row]))
        return names

    def labels(self, folder: str, labels: Iterable[Sequence[object]]) -> None:
        """Write the truth of a test folder: pairs of file and label."""
        write_csv(self._folder / folder / "labels.csv", ("file", "label"), labels)

    def table(self, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write a csv file at the top of the benchmark."""
        write_csv(self._folder / name, header, rows)

    def groups(self) -> None:
        """Write `groups.csv`, last: it lists every real file."""
        self.table("groups.csv", ("file", "group"), self._groups)


def rng_for(seed: int, purpose: str) -> np.random.Generator:
    """Make the stream of chance of one purpose of a benchmark."""
    return np.random.default_rng(derive_seed(seed, "benchmark", purpose))
