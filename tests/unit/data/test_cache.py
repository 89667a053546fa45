"""The pixel cache keeps below its limit, and takes nothing that may be in use."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gansfp.data import cache
from gansfp.data.images import DecodeSettings, read_images
from gansfp.errors import UserError

DAY = 24 * 3600
MB = 1_000_000


def entry(base: Path, name: str, days: float, megabytes: float) -> Path:
    folder = base / name
    folder.mkdir(parents=True)
    with (folder / "pixels.npy").open("wb") as file:
        file.truncate(int(megabytes * MB))
    then = time.time() - days * DAY
    os.utime(folder, (then, then))
    return folder


def left(base: Path) -> set[str]:
    return {path.name for path in base.iterdir()}


@pytest.fixture(autouse=True)
def _limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.LIMIT, "0.010")  # 10 MB


def test_below_the_limit_nothing_goes(tmp_path: Path) -> None:
    entry(tmp_path, "a", 400, 4)
    entry(tmp_path, "b", 300, 5)
    cache.prune(tmp_path)
    assert left(tmp_path) == {"a", "b"}


def test_the_least_recently_used_go_until_the_rest_fits(tmp_path: Path) -> None:
    for name, days in (("c", 10), ("a", 30), ("d", 9), ("b", 20)):
        entry(tmp_path, name, days, 4)
    cache.prune(tmp_path)
    assert left(tmp_path) == {"c", "d"}


def test_what_was_used_in_the_last_week_stays_whatever_its_size(tmp_path: Path) -> None:
    entry(tmp_path, "a", 6.9, 50)
    entry(tmp_path, "b", 0, 50)
    entry(tmp_path, "c", 7.1, 1)
    cache.prune(tmp_path)
    assert left(tmp_path) == {"a", "b"}


def test_half_written_entries_of_the_dead_go_in_any_case(tmp_path: Path) -> None:
    entry(tmp_path, ".a.0f.tmp", 8, 0.1)
    entry(tmp_path, ".b.0f.tmp", 1, 0.1)
    cache.prune(tmp_path)
    assert left(tmp_path) == {".b.0f.tmp"}


def images(folder: Path, seed: int) -> list[Path]:
    folder.mkdir()
    grey = np.random.default_rng(seed).integers(0, 256, (3, 8, 8), np.uint8)
    for k, picture in enumerate(grey):
        Image.fromarray(picture).save(folder / f"{k}.png")
    return sorted(folder.iterdir())


def age(base: Path, days: float) -> None:
    then = time.time() - days * DAY
    for path in base.iterdir():
        os.utime(path, (then, then))


def test_a_new_entry_makes_old_ones_give_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cache.LIMIT, "0")
    store, base = tmp_path / "cache", tmp_path / "cache" / "pixels"
    first, second, third = (images(tmp_path / name, k) for k, name in enumerate("abc"))
    read_images(first, DecodeSettings(), store)
    read_images(second, DecodeSettings(), store)
    assert len(left(base)) == 2
    age(base, 8)
    mapped = read_images(first, DecodeSettings(), store)  # used again: it stays
    before = mapped.pixels.copy()
    (kept,) = (path.name for path in base.iterdir() if time.time() - path.stat().st_mtime < DAY)
    read_images(third, DecodeSettings(), store)
    assert kept in left(base)
    assert len(left(base)) == 2
    age(base, 8)
    read_images(second, DecodeSettings(), store)
    assert len(left(base)) == 1
    assert np.array_equal(mapped.pixels, before)  # mapped pages outlive their entry
    assert np.array_equal(read_images(first, DecodeSettings(), store).pixels, before)


@pytest.mark.parametrize("value", ["much", "-1", "nan"])
def test_a_limit_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(cache.LIMIT, value)
    with pytest.raises(UserError, match=rf"GANSFP_CACHE_GB={value}: must be a number of gigabytes"):
        read_images(images(tmp_path / "a", 0), DecodeSettings(), tmp_path / "cache")


def test_the_default_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cache.LIMIT)
    assert cache.limit_bytes() == 20e9
