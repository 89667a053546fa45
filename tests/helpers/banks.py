"""Banks on disk, made from arrays instead of trained generators."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gansfp.data.writing import write_csv, write_images
from gansfp.forge.plans import Deck


def halves(generators: int, groups: np.ndarray, seed: int) -> np.ndarray:
    """Deal complementary halves of the patients, as the forge does: shape (K, n)."""
    known = np.zeros((generators, len(groups)), dtype=bool)
    rng = np.random.default_rng(seed)
    for first in range(0, generators, 2):
        deck = Deck(groups, rng)
        known[first, deck.about(len(groups) // 2)] = True
        known[first + 1, deck.rest()] = True
    return known


def copies(real: np.ndarray, rows: np.ndarray, count: int, noise: float, seed: int) -> np.ndarray:
    """Draw `count` noisy copies of some of the real images."""
    rng = np.random.default_rng([seed, 7])
    chosen = real[rng.choice(rows, count)] + rng.normal(0, noise, (count, *real.shape[1:]))
    return np.clip(chosen, 0, 255).round().astype(np.uint8)


def write_bank(
    folder: Path,
    real: np.ndarray,
    groups: list[str],
    generators: int = 6,
    samples: int = 30,
    noise: float = 25.0,
    seed: int = 0,
) -> np.ndarray:
    """Write a bank whose generators draw noisy copies of their members; returns who knows whom."""
    known = halves(generators, np.array(groups), seed)
    names = write_images(folder / "real", "real", real)
    for number, member in enumerate(known, 1):
        drawn = copies(real, np.flatnonzero(member), samples, noise, seed + number)
        write_images(folder / "generated" / f"g{number:03d}", f"generated_g{number:03d}", drawn)
    header = ("file", *(f"g{number:03d}" for number in range(1, generators + 1)))
    rows = zip(names, known.T.astype(int).tolist(), strict=True)
    write_csv(folder / "membership.csv", header, [(f"real/{n}", *marks) for n, marks in rows])
    owners = zip(names, groups, strict=True)
    write_csv(folder / "groups.csv", ("file", "group"), [(f"real/{n}", g) for n, g in owners])
    return known
