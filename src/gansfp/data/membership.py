"""The membership task as a Lightning datamodule."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from gansfp.data.datamodule import BenchmarkDataModule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gansfp.data.layout import Task


class MembershipDataModule(BenchmarkDataModule):
    """Which real images was the generator trained on? Arguments as in `BenchmarkDataModule`."""

    task: ClassVar[Task] = "membership"

    @property
    def generated_rows(self) -> NDArray[np.int64]:
        """Synthetic images of the sets that `use_generated` names."""
        split = None if self._use_generated == "both" else self._use_generated
        return self.benchmark.rows(split, "generated")
