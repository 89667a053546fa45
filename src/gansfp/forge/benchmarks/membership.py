"""One generator, trained on some of the patients: which ones?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.errors import UserError
from gansfp.forge.benchmarks.base import BenchmarkFiles, ForgedBenchmark, rng_for
from gansfp.forge.benchmarks.canaries import paint_rows
from gansfp.forge.blindness import blind_facts
from gansfp.forge.plans import Deck, GeneratorPlan

if TYPE_CHECKING:
    from gansfp.data.sources.base import RealImages
    from gansfp.forge.benchmarks.base import Samples
    from gansfp.forge.plans import Rows

LABELLED_SHARE = 0.3
"""Share of the members, and of the others, whose truth is given, where no number is set."""

POOLS = ("used", "not_used")


@dataclass(frozen=True, slots=True)
class Pools:
    """Who is who; no two of `members`, `outsiders` and `others` share a group.

    Attributes:
        members: Images whose truth is "used".
        revealed: Those of the members that appear in the sets.
        outsiders: Images that appear in no set.
        others: Images whose truth is "not used".
    """

    members: Rows
    revealed: Rows
    outsiders: Rows
    others: Rows


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
        outsiders: Images, of patients of their own, that appear in no set.
        train_on: "members", or "outsiders": the truth stays that of the members, of whom the
            generator then knows nothing. On this null benchmark every method must be at chance.
        revealed: Share of the members, by whole groups, that may appear in the sets; the generator
            is trained on all of them.
        canaries: Members asked about, and as many others asked about, that get a mark before
            training (`gansfp.forge.benchmarks.canaries`).
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
        outsiders: int = 0,
        train_on: str = "members",
        revealed: float = 1.0,
        canaries: int = 0,
        palette: bool = True,
    ) -> None:
        if isinstance(members, str) and members != "half":
            raise UserError(f"benchmark.members={members}: must be a number of images, or half")
        if train_on not in ("members", "outsiders"):
            raise UserError(f"benchmark.train_on={train_on}: must be members or outsiders")
        if min(outsiders, canaries) < 0:
            raise UserError("benchmark.outsiders and canaries: must be 0 or more")
        if train_on == "outsiders" and not outsiders:
            raise UserError(
                "benchmark.outsiders=0: train_on=outsiders needs some; set as many as members"
            )
        if not 0 < revealed <= 1:
            raise UserError(f"benchmark.revealed={revealed}: a share above 0, at most 1")
        if min(generated_train, generated_test) < 1:
            raise UserError("benchmark.generated_train and generated_test: must be at least 1")
        self.members = members
        self.wanted = {
            "labelled_used": labelled_used,
            "labelled_not_used": labelled_not_used,
            "test_used": test_used,
            "test_not_used": test_not_used,
        }
        self.generated_train, self.generated_test = generated_train, generated_test
        self.outsiders, self.is_null = outsiders, train_on == "outsiders"
        self.revealed, self.canaries = float(revealed), canaries
        self.palette = palette

    def prepare(self, source: RealImages, seed: int) -> RealImages:
        """Paint the canaries."""
        return paint_rows(source, np.concatenate(self.marked(source, seed)), seed)

    def generators(self, source: RealImages, seed: int) -> list[GeneratorPlan]:
        """Plan the one generator."""
        pools = self.pools(source, seed)
        rows = pools.outsiders if self.is_null else pools.members
        return [GeneratorPlan("generator", rows, self.generated_train + self.generated_test)]

    def pools(self, source: RealImages, seed: int) -> Pools:
        """Deal the patients to members, outsiders and others; `train_on` changes nothing here."""
        groups = np.array(source.groups)
        deck = Deck(groups, rng_for(seed, "members"))
        members = self._members(deck)
        outsiders = deck.exactly(self.outsiders, "outsiders")
        if not len(deck):
            raise UserError(
                f"benchmark.outsiders={self.outsiders}: nobody is left as not used; set fewer "
                "members or outsiders"
            )
        revealed = members
        if self.revealed < 1:
            hand = Deck(groups, rng_for(seed, "revealed"), members)
            revealed = hand.about(round(self.revealed * len(members)))
        if not len(revealed):
            raise UserError(f"benchmark.revealed={self.revealed}: no member is left; raise it")
        return Pools(members, revealed, outsiders, deck.rest())

    def sets(self, source: RealImages, seed: int) -> dict[str, Rows]:
        """Deal members and others out to the labelled and the test sets; by groups throughout."""
        groups, pools = np.array(source.groups), self.pools(source, seed)
        dealt = {}
        for label, rows in zip(POOLS, (pools.revealed, pools.others), strict=True):
            hand = Deck(groups, rng_for(seed, label), rows)
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

    def marked(self, source: RealImages, seed: int) -> tuple[Rows, Rows]:
        """Choose the canaries: members, and their controls among the others."""
        sets = self.sets(source, seed)
        rng = rng_for(seed, "canaries")
        chosen = []
        for name in ("test_used", "test_not_used"):
            if self.canaries > len(sets[name]):
                raise UserError(
                    f"benchmark.canaries={self.canaries}: only {len(sets[name])} images in {name}"
                )
            chosen.append(rng.permutation(sets[name])[: self.canaries])
        return chosen[0], chosen[1]

    def write(
        self, folder: Path, source: RealImages, samples: Samples, seed: int
    ) -> dict[str, Any]:
        """Write the benchmark."""
        files = BenchmarkFiles(folder, source, self.palette)
        generated = samples["generator"]
        files.images("train/generated", "generated", generated[: self.generated_train])
        files.images("test/generated", "generated", generated[self.generated_train :])
        sets = self.sets(source, seed)
        for label in POOLS:
            files.real(f"train/real_{label}", f"real_{label}", sets[f"labelled_{label}"])
        rows = np.concatenate([sets["test_used"], sets["test_not_used"]])
        truth = np.repeat([1, 0], [len(sets["test_used"]), len(sets["test_not_used"])])
        order = rng_for(seed, "test").permutation(len(rows))
        names = files.real("test/real_unknown", "real_unknown", rows[order])
        files.labels("test", zip(names, truth[order].tolist(), strict=True))
        files.groups()
        used = np.concatenate([sets["labelled_used"], sets["test_used"]])
        others = np.concatenate([sets["labelled_not_used"], sets["test_not_used"]])
        return {
            **self._facts(source, seed),
            "sets": {k: len(v) for k, v in sets.items()},
            "blind": blind_facts(source, used, others, seed),
            "canaries": self._canary_facts(source, seed, files.origin),
            "real": files.origin,
        }

    def _facts(self, source: RealImages, seed: int) -> dict[str, Any]:
        pools = self.pools(source, seed)
        return {
            "null": self.is_null,
            "members_trained": 0 if self.is_null else len(pools.members),
            "members_revealed": len(pools.revealed),
            "outsiders": len(pools.outsiders),
        }

    def _canary_facts(
        self, source: RealImages, seed: int, origin: dict[str, str]
    ) -> list[dict[str, str]]:
        file_of = {name: file for file, name in origin.items()}
        return [
            {"file": file_of[source.names[row]], "name": source.names[row], "role": role}
            for role, rows in zip(("member", "control"), self.marked(source, seed), strict=True)
            for row in rows
        ]

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
