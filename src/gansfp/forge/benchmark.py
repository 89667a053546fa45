"""The two benchmarks a forge can write: who is trained on, who is asked about, and the files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gansfp.data.writing import write_csv, write_images
from gansfp.errors import UserError
from gansfp.forge.plans import Deck, GeneratorPlan
from gansfp.forge.seeds import derive_seed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.sources.base import RealImages
    from gansfp.forge.plans import Rows

    Samples = Mapping[str, NDArray[np.uint8]]

LABELLED_SHARE = 0.3
"""Share of the members, and of the others, whose truth is given, where no number is set."""


class ForgedBenchmark(ABC):
    """Deals real images out to generators and writes ImageCLEF's folders.

    Everything is a function of (real images, seed), so an interrupted forge deals the same again.
    """

    task: ClassVar[str]

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
        """Write images, `test/labels.csv` and `groups.csv`.

        Args:
            folder: An empty folder.
            source: The real images.
            samples: Images of each generator, uint8, shape (count, H, W).
            seed: As given to `generators`.

        Returns:
            For the card: the real images of each set, as source name by file.
        """


class MembershipBenchmark(ForgedBenchmark):
    """One generator, trained on some of the patients: which ones?

    Args:
        members: Images to train on: a number, or "half" of the patients.
        labelled_used: Members whose truth is given; None: 30 % of them.
        labelled_not_used: Others whose truth is given; None: 30 % of them.
        test_used: Members asked about; None: all that are left.
        test_not_used: Others asked about; None: all that are left.
        generated_train: Synthetic images for training.
        generated_test: Synthetic images for the test.
        palette: Write palette PNG files, as the contest's archives hold.
    """

    task = "membership"

    def __init__(
        self,
        members: int | str = "half",
        labelled_used: int | None = None,
        labelled_not_used: int | None = None,
        test_used: int | None = None,
        test_not_used: int | None = None,
        generated_train: int = 1500,
        generated_test: int = 500,
        palette: bool = True,
    ) -> None:
        if isinstance(members, str) and members != "half":
            raise UserError(f"benchmark.members={members}: must be a number of images, or half")
        self.members = members
        self.wanted = {
            "labelled_used": labelled_used,
            "labelled_not_used": labelled_not_used,
            "test_used": test_used,
            "test_not_used": test_not_used,
        }
        self.generated_train, self.generated_test = generated_train, generated_test
        self.palette = palette
        if min(generated_train, generated_test) < 1:
            raise UserError("benchmark.generated_train and generated_test: must be at least 1")

    def generators(self, source: RealImages, seed: int) -> list[GeneratorPlan]:
        """Plan the one generator."""
        deck = Deck(np.array(source.groups), _rng(seed, "members"))
        count = self.generated_train + self.generated_test
        return [GeneratorPlan("generator", self._members(deck), count)]

    def sets(self, source: RealImages, seed: int) -> dict[str, Rows]:
        """Deal members and others out to the labelled and the test sets; by groups throughout."""
        groups = np.array(source.groups)
        deck = Deck(groups, _rng(seed, "members"))
        pools = {"used": self._members(deck), "not_used": deck.rest()}
        dealt = {}
        for label, rows in pools.items():
            hand = Deck(groups, _rng(seed, label), rows)
            for name in (f"labelled_{label}", f"test_{label}"):
                wanted = self.wanted[name]
                if wanted is not None:
                    dealt[name] = hand.exactly(wanted, name)
                elif name.startswith("labelled"):
                    dealt[name] = hand.about(round(LABELLED_SHARE * len(rows)))
                else:
                    dealt[name] = hand.rest()
                if not len(dealt[name]):
                    raise UserError(f"benchmark.{name}: no image is left for it; give more images")
        return dealt

    def write(
        self, folder: Path, source: RealImages, samples: Samples, seed: int
    ) -> dict[str, Any]:
        """Write the benchmark."""
        files = _Files(folder, source, self.palette)
        generated = samples["generator"]
        files.images("train/generated", "generated", generated[: self.generated_train])
        files.images("test/generated", "generated", generated[self.generated_train :])
        sets = self.sets(source, seed)
        for label in ("used", "not_used"):
            files.real(f"train/real_{label}", f"real_{label}", sets[f"labelled_{label}"])
        rows = np.concatenate([sets["test_used"], sets["test_not_used"]])
        truth = np.repeat([1, 0], [len(sets["test_used"]), len(sets["test_not_used"])])
        order = _rng(seed, "test").permutation(len(rows))
        names = files.real("test/real_unknown", "real_unknown", rows[order])
        files.finish(zip(names, truth[order].tolist(), strict=True))
        return {"sets": {k: len(v) for k, v in sets.items()}, "real": files.origin}

    def _members(self, deck: Deck) -> Rows:
        if isinstance(self.members, str):
            rows = deck.about(len(deck) // 2)
        else:
            rows = deck.exactly(self.members, "members")
        if not len(rows) or not len(deck):
            raise UserError(
                "benchmark.members: both members and others are needed; give more images"
            )
        return rows


class AttributionBenchmark(ForgedBenchmark):
    """Patient-disjoint subsets, one generator each: which subset is behind an image?

    Args:
        subsets: Number of subsets, t1, t2, ...
        generated_train: Synthetic images a subset for training.
        generated_test: Synthetic images a subset for the test.
        palette: Write palette PNG files, as the contest's archives hold.
    """

    task = "attribution"

    def __init__(
        self,
        subsets: int = 5,
        generated_train: int = 300,
        generated_test: int = 200,
        palette: bool = True,
    ) -> None:
        if subsets < 2 or min(generated_train, generated_test) < 1:
            raise UserError(
                "benchmark.subsets must be at least 2, generated_train and generated_test 1"
            )
        self.subsets = subsets
        self.generated_train, self.generated_test = generated_train, generated_test
        self.palette = palette

    def generators(self, source: RealImages, seed: int) -> list[GeneratorPlan]:
        """Plan one generator a subset."""
        hands = Deck(np.array(source.groups), _rng(seed, "subsets")).split(self.subsets)
        if not all(map(len, hands)):
            raise UserError(
                f"benchmark.subsets={self.subsets}: only {len(set(source.groups))} patients; set "
                "fewer subsets"
            )
        count = self.generated_train + self.generated_test
        return [GeneratorPlan(f"t{k}", rows, count) for k, rows in enumerate(hands, start=1)]

    def write(
        self, folder: Path, source: RealImages, samples: Samples, seed: int
    ) -> dict[str, Any]:
        """Write the benchmark."""
        files = _Files(folder, source, self.palette)
        plans = self.generators(source, seed)
        for plan in plans:
            files.real(f"train/real/{plan.name}", f"real_{plan.name}", plan.rows)
            train = samples[plan.name][: self.generated_train]
            files.images(f"train/generated/gen_{plan.name}", f"generated_{plan.name}", train)
        tests = np.concatenate([samples[plan.name][self.generated_train :] for plan in plans])
        truth = np.repeat([plan.name for plan in plans], self.generated_test)
        order = _rng(seed, "test").permutation(len(tests))
        names = files.images("test/generated_unknown", "generated_unknown", tests[order])
        files.finish(zip(names, truth[order].tolist(), strict=True))
        return {"sets": {plan.name: len(plan.rows) for plan in plans}, "real": files.origin}


class _Files:
    """Writes images and keeps account of where the real ones come from."""

    def __init__(self, folder: Path, source: RealImages, palette: bool) -> None:
        self._folder = folder
        self._source = source
        self._palette = palette
        self._groups: list[tuple[str, str]] = []
        self.origin: dict[str, str] = {}

    def images(self, where: str, stem: str, pixels: NDArray[np.uint8]) -> list[str]:
        return write_images(self._folder / where, stem, pixels, self._palette)

    def real(self, where: str, stem: str, rows: Rows) -> list[str]:
        names = self.images(where, stem, self._source.pixels[rows])
        for name, row in zip(names, rows, strict=True):
            self.origin[f"{where}/{name}"] = self._source.names[row]
            self._groups.append((f"{where}/{name}", self._source.groups[row]))
        return names

    def finish(self, labels: Iterable[Sequence[object]]) -> None:
        write_csv(self._folder / "test/labels.csv", ("file", "label"), labels)
        write_csv(self._folder / "groups.csv", ("file", "group"), self._groups)


def _rng(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng(derive_seed(seed, "benchmark", purpose))
