from __future__ import annotations

import numpy as np
import pytest
from banks import halves

from gansfp.forge.bank import Bank
from gansfp.shadows.table import BankTable


@pytest.fixture
def toy_bank():
    """Build a bank of 8x8 noise, whose samples are noisy copies of the members.

    `leak` is the share of the samples that are copies; the others are fresh noise. Images differ in
    contrast, so that a distance says more of the image than of its membership.
    """

    def build(generators=8, patients=40, per_patient=1, samples=60, leak=1.0, noise=25.0, seed=0):
        rng = np.random.default_rng(seed)
        groups = np.repeat([f"p{k:03d}" for k in range(patients)], per_patient)
        contrast = rng.uniform(0.2, 1.0, len(groups))[:, None, None]

        def clip(images):
            return np.clip(images, 0, 255).round().astype(np.uint8)

        real = clip(128 + contrast * rng.normal(0, 60, (len(groups), 8, 8)))
        known = halves(generators, groups, seed)
        generated = {}
        for number, member in enumerate(known):
            rows = rng.choice(np.flatnonzero(member), samples)
            copies = real[rows] + rng.normal(0, noise, (samples, 8, 8))
            fresh = 128 + rng.uniform(0.2, 1.0, (samples, 1, 1)) * rng.normal(
                0, 60, (samples, 8, 8)
            )
            is_copy = rng.random(samples) < leak
            generated[f"g{number + 1:03d}"] = clip(np.where(is_copy[:, None, None], copies, fresh))
        files = tuple(f"real/real_{k + 1}.png" for k in range(len(groups)))
        return Bank(files, real, groups, known, generated)

    return build


@pytest.fixture
def noise_table():
    """Build a table whose log distances are normal, smaller by `shift` for members."""

    def build(generators=8, patients=60, seed=0, shift=0.0, per_patient=1):
        rng = np.random.default_rng(seed)
        groups = np.repeat(np.arange(patients), per_patient)
        known = halves(generators, groups.astype(str), seed)
        level = rng.normal(0, 1, len(groups))
        log = level + 0.3 * rng.normal(size=known.shape) - shift * known
        distances = np.exp(log)[..., None] * (1 + np.arange(5) / 10)
        pool = np.exp(level)[:, None] * np.ones(5)
        names = tuple(f"g{k + 1:03d}" for k in range(generators))
        return BankTable(names, known, groups, distances, pool, 100)

    return build
