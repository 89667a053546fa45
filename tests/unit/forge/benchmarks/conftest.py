"""Small sources of real images, and noise in the place of generated ones."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from gansfp.data.sources.base import RealImages


@pytest.fixture(scope="session")
def discs():
    """Make grey discs on black, a body each, with noise."""

    def make(count=60, per_patient=1, size=32, covariates=None):
        rng = np.random.default_rng(0)
        y, x = np.mgrid[:size, :size] - (size - 1) / 2
        inside = np.hypot(y, x) < 0.45 * size
        pixels = (inside * rng.uniform(60, 120, (count, size, size))).astype(np.uint8)
        names = tuple(f"image_{k}" for k in range(count))
        groups = tuple(f"p{k // per_patient:03d}" for k in range(count))
        return RealImages(pixels, names, groups, names, covariates or {})

    return make


@pytest.fixture(scope="session")
def forged():
    """Write a benchmark with noise as its generators' images; returns what the card gets."""

    def write(benchmark, folder, source, seed=3, noise=1):
        rng = np.random.default_rng(noise)
        folder.mkdir(parents=True, exist_ok=True)
        prepared = benchmark.prepare(source, seed)
        samples = {
            plan.name: rng.integers(0, 256, (plan.count, *source.pixels.shape[1:])).astype(np.uint8)
            for plan in benchmark.generators(source, seed)
        }
        return benchmark.write(folder, prepared, samples, seed)

    return write


@pytest.fixture(scope="session")
def digest():
    """Hash every file below a folder whose path holds none of some words."""

    def hashes(folder, *without):
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*")
            if path.is_file() and not any(word in str(path.relative_to(folder)) for word in without)
        }

    return hashes
