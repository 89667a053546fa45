"""Subsets of patients, one generator or more each: which subset is behind an image?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.data.layout import natural_key, plain_name
from gansfp.errors import UserError
from gansfp.forge.benchmarks.base import BenchmarkFiles, ForgedBenchmark, rng_for
from gansfp.forge.benchmarks.mixing import homes, mix
from gansfp.forge.plans import Deck, GeneratorPlan

if TYPE_CHECKING:
    from gansfp.data.sources.base import RealImages
    from gansfp.forge.benchmarks.base import Samples
    from gansfp.forge.plans import Rows

MOST_VALUES = 50
"""A covariate of more values divides nobody into subsets."""


class AttributionBenchmark(ForgedBenchmark):
    """Subsets of patients, one generator or more each: which subset is behind an image?

    With several generators a subset, the images for training and `test/` come from generator A;
    `test_B/`, ... hold as many test images of each further one. A method that knows the subset in
    `test_B/` knows the data; one that knows it in `test/` alone knows the generator.

    Args:
        subsets: Number of patient-disjoint subsets, t1, t2, ...; without `by` alone.
        by: A covariate of the source whose values are the subsets and the class labels; patients
            with images of several values are in several subsets (the card counts them).
        purity: With `by`, the share of a subset's patients that are of its own value; below 1 the
            others come from all other values alike and no patient is in two subsets (`mix`).
        equal: Cut all subsets to the size of the smallest.
        generators: Of each subset, trained on the same images from other seeds.
        generated_train: Synthetic images a subset for training.
        generated_test: Synthetic images a subset for the test, from each generator.
        palette: Write palette PNG files, as the contest's archives hold.
    """

    task = "attribution"

    def __init__(
        self,
        subsets: int = 5,
        by: str | None = None,
        purity: float = 1.0,
        equal: bool = False,
        generators: int = 1,
        generated_train: int = 300,
        generated_test: int = 200,
        palette: bool = True,
    ) -> None:
        if subsets < 2 or min(generated_train, generated_test) < 1:
            raise UserError(
                "benchmark.subsets must be at least 2, generated_train and generated_test 1"
            )
        if not 1 <= generators <= len(ascii_uppercase):
            raise UserError(f"benchmark.generators={generators}: must be 1 to 26 a subset")
        if by is None and purity != 1:
            raise UserError(f"benchmark.purity={purity}: needs benchmark.by, or 1")
        self.subsets, self.by, self.purity, self.equal = subsets, by, purity, equal
        self.letters = ascii_uppercase[:generators]
        self.generated_train, self.generated_test = generated_train, generated_test
        self.palette = palette

    def generators(self, source: RealImages, seed: int) -> list[GeneratorPlan]:
        """Plan the generators: all A first, since the others only add tests."""
        whole = self.generated_train + self.generated_test
        return [
            GeneratorPlan(
                self._name(label, letter), rows, whole if letter == "A" else self.generated_test
            )
            for letter in self.letters
            for label, rows in self.dealt(source, seed).items()
        ]

    def dealt(self, source: RealImages, seed: int) -> dict[str, Rows]:
        """Find the images of each subset, by class label."""
        groups = np.array(source.groups)
        hands = self._random(groups, seed) if self.by is None else self._by_value(source, self.by)
        if self.purity != 1:
            hands = mix(groups, hands, self.purity, seed)
        if self.equal:
            smallest = min(map(len, hands.values()))
            hands = {
                label: Deck(groups, rng_for(seed, f"equal {label}"), rows).exactly(
                    smallest, "equal"
                )
                for label, rows in hands.items()
            }
        return hands

    def write(
        self, folder: Path, source: RealImages, samples: Samples, seed: int
    ) -> dict[str, Any]:
        """Write the benchmark."""
        files = BenchmarkFiles(folder, source, self.palette)
        dealt = self.dealt(source, seed)
        for label, rows in dealt.items():
            files.real(f"train/real/{label}", f"real_{label}", rows)
            train = samples[self._name(label, "A")][: self.generated_train]
            files.images(f"train/generated/gen_{label}", f"generated_{label}", train)
        for letter in self.letters:
            drawn = [samples[self._name(label, letter)] for label in dealt]
            self._write_test(files, letter, list(dealt), drawn, seed)
        files.groups()
        return {
            "sets": {label: len(rows) for label, rows in dealt.items()},
            "tests": [_test_folder(letter) for letter in self.letters],
            "patients_shared": _shared(source, list(dealt.values())),
            **self._mixture(source, dealt),
            "real": files.origin,
        }

    def _write_test(
        self, files: BenchmarkFiles, letter: str, labels: list[str], drawn: list[Any], seed: int
    ) -> None:
        """Write the test images of one generator a subset, in random order, and their truth.

        Those of B, ... have names of their own, so that no table mistakes one for one of A.
        """
        tests = np.concatenate([images[-self.generated_test :] for images in drawn])
        truth = np.repeat(labels, self.generated_test)
        last = "" if letter == "A" else f"_{letter}"
        order = rng_for(seed, f"test{last}").permutation(len(tests))
        folder, stem = _test_folder(letter), f"generated_unknown{last}"
        names = files.images(f"{folder}/generated_unknown", stem, tests[order])
        files.labels(folder, zip(names, truth[order].tolist(), strict=True))

    def _mixture(self, source: RealImages, dealt: dict[str, Rows]) -> dict[str, Any]:
        """Count the patients of each value in each subset, for the card."""
        if self.by is None:
            return {}
        groups = np.array(source.groups)
        of = homes(groups, self._by_value(source, self.by))
        counts = {
            label: dict(Counter(of[group] for group in np.unique(groups[rows]).tolist()))
            for label, rows in dealt.items()
        }
        return {"purity": self.purity, "patients_by_value": counts}

    def _name(self, label: str, letter: str) -> str:
        return label if len(self.letters) == 1 else f"{label}_{letter}"

    def _random(self, groups: Any, seed: int) -> dict[str, Rows]:
        hands = Deck(groups, rng_for(seed, "subsets")).split(self.subsets)
        if not all(map(len, hands)):
            raise UserError(
                f"benchmark.subsets={self.subsets}: only {len(set(groups.tolist()))} patients; set "
                "fewer subsets"
            )
        return {f"t{k}": rows for k, rows in enumerate(hands, start=1)}

    def _by_value(self, source: RealImages, name: str) -> dict[str, Rows]:
        if name not in source.covariates:
            there = ", ".join(sorted(source.covariates)) or "none"
            raise UserError(f"benchmark.by={name}: the source knows no such covariate ({there})")
        values = source.covariates[name]
        found = np.unique(values)
        labels = [_as_text(value) for value in found.tolist()]
        if not 2 <= len(found) <= MOST_VALUES or len(set(map(plain_name, labels))) < len(found):
            raise UserError(
                f"benchmark.by={name}: has {len(found)} values; needed are 2 to {MOST_VALUES} that "
                "can name folders"
            )
        if not all(label.replace("_", "").replace(".", "").isalnum() for label in labels):
            raise UserError(f"benchmark.by={name}: values {', '.join(labels[:5])} name no folders")
        pairs = sorted(zip(labels, found, strict=True), key=lambda pair: natural_key(pair[0]))
        return {label: np.flatnonzero(values == value) for label, value in pairs}


def _test_folder(letter: str) -> str:
    return "test" if letter == "A" else f"test_{letter}"


def _as_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _shared(source: RealImages, hands: list[Rows]) -> int:
    """Count the patients that are in more than one subset."""
    owners = [{source.groups[row] for row in rows} for rows in hands]
    count = Counter(group for groups in owners for group in groups)
    return sum(times > 1 for times in count.values())
