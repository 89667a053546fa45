from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gansfp.data.benchmark import Benchmark, load_benchmark


def noise(seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


MEMBERSHIP = {
    "train/generated": 6,
    "train/real_used": 10,
    "train/real_not_used": 12,
    "test/generated": 4,
    "test/real_unknown": 8,
}
ATTRIBUTION = {
    **{f"train/generated/gen_t{k}": 10 + k for k in (1, 2, 10)},
    **{f"train/real/t{k}": 5 + k for k in (1, 2, 10)},
    "test/generated_unknown": 7,
}


def write_folders(root: Path, counts: dict[str, int]) -> Path:
    seed = 0
    for folder, count in counts.items():
        for number in range(1, count + 1):
            save(root / folder / f"img_{number}.png", noise(seed))
            seed += 1
    return root


@pytest.fixture
def membership_root(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "membership", MEMBERSHIP)


@pytest.fixture
def attribution_root(tmp_path: Path) -> Path:
    return write_folders(tmp_path / "attribution", ATTRIBUTION)


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Benchmark]:
    def call(task: str, root: Path | None = None, **settings: object) -> Benchmark:
        return load_benchmark(task, root, cache_dir=tmp_path / "cache", **settings)

    return call


@pytest.fixture
def membership(load: Callable[..., Benchmark], membership_root: Path) -> Benchmark:
    return load("membership", membership_root)


@pytest.fixture
def attribution(load: Callable[..., Benchmark], attribution_root: Path) -> Benchmark:
    return load("attribution", attribution_root)
