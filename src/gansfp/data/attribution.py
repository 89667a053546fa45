"""The attribution task as a Lightning datamodule."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gansfp.data.datamodule import BenchmarkDataModule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gansfp.data.layout import Task


class AttributionDataModule(BenchmarkDataModule):
    """Which training subset does each synthetic image come from?

    Arguments as in `BenchmarkDataModule`; the synthetic images are the candidates, the real images
    of the subsets support them.
    """

    task: ClassVar[Task] = "attribution"

    @property
    def generated_rows(self) -> NDArray[np.int64]:
        """Labelled synthetic images that are not held out."""
        return self.fit_rows[self.benchmark.index.frame["role"].iloc[self.fit_rows] == "generated"]

    def _support_rows(self) -> NDArray[np.int64]:
        return self.benchmark.rows("train", "real")
