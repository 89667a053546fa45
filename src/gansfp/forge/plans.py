"""Who is a member: groups of images dealt out to generators and to the sets of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GeneratorPlan:
    """One generator of a benchmark.

    Attributes:
        name: Unique in the benchmark.
        rows: The real images that it is trained on.
        count: The images to be drawn from it.
    """

    name: str
    rows: Rows
    count: int


class Deck:
    """Groups in random order, dealt whole; two hands never share a group.

    Args:
        groups: Group of each image, shape (N,).
        rng: Where the order comes from.
        rows: Images to deal, all by default.
    """

    def __init__(
        self, groups: NDArray[np.str_], rng: np.random.Generator, rows: Rows | None = None
    ) -> None:
        rows = np.arange(len(groups)) if rows is None else np.sort(rows)
        names, owner = np.unique(groups[rows], return_inverse=True)
        self._hands = [rows[owner == k] for k in rng.permutation(len(names))]

    def __len__(self) -> int:
        """Count the images that are left."""
        return sum(map(len, self._hands))

    def about(self, count: int) -> Rows:
        """Deal whole groups, as near to `count` images as the order allows."""
        dealt: list[Rows] = []
        total = 0
        while self._hands and total + len(self._hands[0]) / 2 <= count:
            dealt.append(self._hands.pop(0))
            total += len(dealt[-1])
        return _join(dealt)

    def exactly(self, count: int, key: str) -> Rows:
        """Deal `count` images; what is left of the last group is dealt to nobody.

        Args:
            count: Number of images.
            key: The key of the config that asks, for the error.

        Raises:
            UserError: There are not so many.
        """
        if count > len(self):
            raise UserError(f"benchmark.{key}={count}: only {len(self)} images are left to deal")
        dealt: list[Rows] = []
        while sum(map(len, dealt)) < count:
            dealt.append(self._hands.pop(0))
        return _join(dealt)[:count] if dealt else _join([])

    def whole(self, groups: int) -> Rows:
        """Deal so many whole groups, or all where fewer are left."""
        dealt, self._hands = self._hands[:groups], self._hands[groups:]
        return _join(dealt)

    def rest(self) -> Rows:
        """Deal all that is left."""
        dealt, self._hands = self._hands, []
        return _join(dealt)

    def split(self, parts: int) -> list[Rows]:
        """Deal everything into hands of nearly equal size: each group to the smallest hand."""
        hands: list[list[Rows]] = [[] for _ in range(parts)]
        sizes = [0] * parts
        for group in sorted(self._hands, key=len, reverse=True):
            smallest = int(np.argmin(sizes))
            hands[smallest].append(group)
            sizes[smallest] += len(group)
        self._hands = []
        return [_join(hand) for hand in hands]


def _join(hands: list[Rows]) -> Rows:
    """Concatenate in the order dealt; groups are random, so the order says nothing."""
    return np.concatenate(hands) if hands else np.empty(0, dtype=np.int64)
