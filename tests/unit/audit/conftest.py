"""Small populations of images, and audits of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from gansfp.audit.attack import Attack
from gansfp.audit.examination import Examination


@pytest.fixture(scope="session")
def population() -> Callable[..., np.ndarray]:
    """Draw smooth random images, uint8, shape (n, size, size)."""

    def draw(n: int, rng: np.random.Generator, size: int = 32) -> np.ndarray:
        smooth = gaussian_filter(rng.standard_normal((n, size, size)), (0, size / 10, size / 10))
        spread = smooth.std(axis=(1, 2), keepdims=True)
        return np.clip(128 + 50 * smooth / spread, 0, 255).astype(np.uint8)

    return draw


@pytest.fixture(scope="session")
def examine() -> Callable[..., Examination]:
    """Encode images for an attack without a network; every image is a patient of its own."""

    def make(
        real: np.ndarray,
        others: np.ndarray,
        synthetic: np.ndarray,
        groups: np.ndarray | None = None,
        seed: int = 0,
        **options: object,
    ) -> Examination:
        attack = Attack(views=("aligned", "coarse"), **options)  # type: ignore[arg-type]
        labels = np.repeat([1, 0], [len(real), len(others)])
        names = np.arange(len(labels)).astype(str) if groups is None else groups
        pool = attack.encode(np.concatenate([real, others]))
        return Examination.of(attack, pool, attack.encode(synthetic), names, labels, seed=seed)

    return make
