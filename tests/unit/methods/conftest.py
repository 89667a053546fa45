"""Small benchmarks made from arrays, without files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gansfp.data.attribution import AttributionDataModule
from gansfp.data.benchmark import Benchmark
from gansfp.data.datamodule import BenchmarkDataModule
from gansfp.data.index import COLUMNS, Index
from gansfp.data.membership import MembershipDataModule
from gansfp.data.store import ImageStore

# split, role, label, images (n, H, W), groups or None
Part = tuple[str, str, str | None, np.ndarray, Sequence[str] | None]


def _datamodule(
    task: str, parts: Sequence[Part], classes: tuple[str, ...] = (), **options: Any
) -> BenchmarkDataModule:
    rows = []
    for split, role, label, images, groups in parts:
        for number, image in enumerate(images):
            sample = f"{split}/{role}/{label}/{number}.png"
            digest = hashlib.sha256(image.tobytes()).hexdigest()
            group = groups[number] if groups is not None else sample
            rows.append(
                (sample, sample, split, role, label, group, *image.shape[::-1], "L", digest)
            )
    columns = [*COLUMNS]
    frame = pd.DataFrame(rows, columns=columns)
    frame["label"] = pd.Series([row[4] for row in rows], dtype=object)
    pixels = np.concatenate([part[3] for part in parts]).astype(np.uint8)
    kind = MembershipDataModule if task == "membership" else AttributionDataModule
    data = kind(**options)
    data.__dict__["benchmark"] = Benchmark(task, Index(frame), ImageStore(pixels), classes)
    return data


@pytest.fixture
def datamodule() -> Callable[..., BenchmarkDataModule]:
    """Build a datamodule from (split, role, label, images, groups) parts."""
    return _datamodule


@pytest.fixture
def membership() -> BenchmarkDataModule:
    """12 labelled reals of 6 patients, 9 test reals, 30 synthetic images; 8x8 noise."""
    rng = np.random.default_rng(0)

    def draw(n: int) -> np.ndarray:
        return rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)

    patients = [f"p{i // 2}" for i in range(6)]
    return _datamodule(
        "membership",
        [
            ("train", "generated", None, draw(20), None),
            ("train", "real_used", "used", draw(6), patients),
            ("train", "real_not_used", "not_used", draw(6), [f"q{i // 2}" for i in range(6)]),
            ("test", "generated", None, draw(10), None),
            ("test", "real_unknown", None, draw(9), None),
        ],
        fold=None,
    )


@pytest.fixture
def attribution() -> BenchmarkDataModule:
    """Three subsets of 7 real and 8 generated images, 10 test images; 8x8 noise."""
    rng = np.random.default_rng(1)

    def draw(n: int) -> np.ndarray:
        return rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)

    parts: list[Part] = []
    for label in ("t1", "t2", "t3"):
        parts.append(("train", "real", label, draw(7), None))
        parts.append(("train", "generated", label, draw(8), None))
    parts.append(("test", "generated_unknown", None, draw(10), None))
    return _datamodule("attribution", parts, ("t1", "t2", "t3"), fold=None)
