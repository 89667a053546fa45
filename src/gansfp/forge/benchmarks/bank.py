"""A bank of shadow generators, each trained on a random half of the same patients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gansfp.errors import UserError
from gansfp.forge.bank import GENERATED, MEMBERSHIP, REAL
from gansfp.forge.benchmarks.base import BenchmarkFiles, ForgedBenchmark, rng_for
from gansfp.forge.plans import Deck, GeneratorPlan

if TYPE_CHECKING:
    from gansfp.data.sources.base import RealImages
    from gansfp.forge.benchmarks.base import Samples


class ShadowBank(ForgedBenchmark):
    """Generators that know half of the patients each, for likelihood-ratio attacks.

    The halves come in complementary pairs, so of an even number of generators each patient is known
    to exactly half (LiRA: Carlini et al. 2022, "Membership inference attacks from first
    principles"). `gansfp.forge.bank.read_bank` reads what is written.

    Args:
        generators: How many, g001, g002, ...
        generated: Synthetic images of each.
        palette: Write palette PNG files, as the contest's archives hold.
    """

    task: ClassVar[str] = "bank"

    def __init__(self, generators: int = 16, generated: int = 500, palette: bool = True) -> None:
        if generators < 2 or generated < 1:
            raise UserError("benchmark.generators must be at least 2, generated at least 1")
        self.count, self.generated, self.palette = generators, generated, palette

    def generators(self, source: RealImages, seed: int) -> list[GeneratorPlan]:
        """Deal the patients anew to each pair of generators."""
        groups = np.array(source.groups)
        plans: list[GeneratorPlan] = []
        for first in range(1, self.count + 1, 2):
            deck = Deck(groups, rng_for(seed, f"pair {first}"))
            for number, rows in enumerate((deck.about(len(source) // 2), deck.rest()), first):
                if not len(rows):
                    raise UserError("benchmark.generators: halves need two patients or more")
                plans.append(GeneratorPlan(f"g{number:03d}", rows, self.generated))
        return plans[: self.count]

    def write(
        self, folder: Path, source: RealImages, samples: Samples, seed: int
    ) -> dict[str, Any]:
        """Write the real images in the source's order, each generator's, and who knows whom."""
        files = BenchmarkFiles(folder, source, self.palette)
        names = files.real(REAL, "real", np.arange(len(source)))
        plans = self.generators(source, seed)
        known = np.zeros((len(source), len(plans)), dtype=np.int64)
        for column, plan in enumerate(plans):
            known[plan.rows, column] = 1
            files.images(f"{GENERATED}/{plan.name}", f"generated_{plan.name}", samples[plan.name])
        header = ("file", *(plan.name for plan in plans))
        lines = ((f"{REAL}/{name}", *row) for name, row in zip(names, known.tolist(), strict=True))
        files.table(MEMBERSHIP, header, lines)
        files.groups()
        return {"sets": {plan.name: len(plan.rows) for plan in plans}, "real": files.origin}
