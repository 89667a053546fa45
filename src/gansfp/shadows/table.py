"""A bank as numbers: distances of its real images to the samples of each of its generators."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gansfp.features.neighbours import Exclusion
from gansfp.shadows.case import Case, independent
from gansfp.shadows.distances import encode, to_pool, to_samples
from gansfp.shadows.statistic import NEAREST, statistic_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.features.representations import Representation
    from gansfp.forge.bank import Bank

    Values = NDArray[np.float64]
    Mask = NDArray[np.bool_]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BankTable:
    """What every attack on a bank starts from.

    Attributes:
        names: The K generators.
        membership: Whether each was trained on each real image, shape (K, n).
        groups: Patient number of each image, shape (n,).
        distances: To the nearest samples of each generator, ascending, shape (K, n, depth).
        pool: To the nearest real images of other patients, shape (n, depth).
        samples: Samples of each generator.
        values: A statistic other than closeness, shape (K, n).
    """

    names: tuple[str, ...]
    membership: Mask
    groups: NDArray[np.int64]
    distances: Values
    pool: Values
    samples: int
    values: Values | None = None

    @classmethod
    def of(
        cls, bank: Bank, representation: Representation, statistic: str = NEAREST, k: int = 1
    ) -> BankTable:
        """Measure a bank. Every generator is asked for as many samples as the poorest has.

        Args:
            bank: What to measure.
            representation: What is compared.
            statistic: One of `gansfp.shadows.statistic.CHOICES`.
            k: Its neighbours, where it is not closeness.
        """
        vectors = encode(representation, bank.real)
        groups = np.unique(bank.groups, return_inverse=True)[1].ravel().astype(np.int64)
        samples = min(len(images) for images in bank.generated.values())
        everyone = np.ones(len(groups), dtype=bool)
        found, values = [], []
        for name, images in bank.generated.items():
            drawn = encode(representation, images[:samples])
            found.append(to_samples(vectors, drawn))
            if statistic != NEAREST:
                values.append(statistic_values(statistic, vectors, groups, everyone, drawn, k))
            log.info("%s: distances to its %d samples", name, samples)
        pool = to_pool(vectors, vectors, Exclusion(groups, groups))
        other = np.stack(values) if values else None
        return cls(bank.names, bank.membership, groups, np.stack(found), pool, samples, other)

    def first(self, count: int) -> BankTable:
        """Keep the first generators alone, and with them the same images."""
        return replace(
            self,
            names=self.names[:count],
            membership=self.membership[:count],
            distances=self.distances[:count],
            values=None if self.values is None else self.values[:count],
        )

    def case(self, target: int, population: Mask, k: int = 1) -> Case:
        """Take one generator for the target and the independent others for shadow generators.

        Args:
            target: Position of the generator.
            population: Images known not to be used, shape (n,).
            k: Neighbours of the statistic.
        """
        others = independent(self.membership, target)
        return Case(
            target=self.distances[target],
            shadow=self.distances[others],
            known=self.membership[others],
            pool=self.pool,
            groups=self.groups,
            population=population,
            fitting=np.ones(len(self.groups), dtype=bool),
            k=k,
            values=None if self.values is None else (self.values[target], self.values[others]),
        )


def measured(
    bank: Bank,
    representation: Representation,
    path: Path | None = None,
    statistic: str = NEAREST,
    k: int = 1,
) -> BankTable:
    """Measure a bank, or read the distances that were stored for the same bank and representation.

    Args:
        bank: What to measure.
        representation: What is compared.
        path: An npz file; None: nothing is stored. Nor is it of a statistic other than closeness.
        statistic: One of `gansfp.shadows.statistic.CHOICES`.
        k: Its neighbours, where it is not closeness.
    """
    if statistic != NEAREST:
        return BankTable.of(bank, representation, statistic, k)
    key = fingerprint(bank, representation)
    if path is not None and path.is_file():
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["key"]) == key:
                groups = np.unique(bank.groups, return_inverse=True)[1].ravel().astype(np.int64)
                arrays = stored["distances"], stored["pool"], int(stored["samples"])
                return BankTable(bank.names, bank.membership, groups, *arrays)
    table = BankTable.of(bank, representation)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez(
                file,
                key=np.array(key),
                distances=table.distances,
                pool=table.pool,
                samples=np.array(table.samples),
                allow_pickle=False,
            )
    return table


def fingerprint(bank: Bank, representation: Representation) -> str:
    """Hash what the distances of a bank depend on."""
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps(representation.spec(), sort_keys=True).encode())
    digest.update("\0".join([*bank.names, *bank.groups.tolist()]).encode())
    digest.update(np.packbits(bank.membership).tobytes())
    for images in (bank.real, *bank.generated.values()):
        digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()
