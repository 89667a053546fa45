from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from tests.unit.data.conftest import noise, save

from gansfp.data import images as images_module
from gansfp.data.decode import decode_image
from gansfp.data.images import DecodeSettings, default_cache_dir, read_images
from gansfp.errors import UserError


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [save(tmp_path / "data" / f"{k}.png", noise(k)) for k in range(7)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is decoded, in the order it happens."""
    calls: list[Path] = []

    def spy(path: Path, *args: object) -> object:
        calls.append(path)
        return decode_image(path, *args)

    monkeypatch.setattr(images_module, "decode_image", spy)
    return calls


def test_pixels_and_records(paths: list[Path], tmp_path: Path) -> None:
    images = read_images(paths, DecodeSettings(), tmp_path / "cache")
    assert images.pixels.shape == (7, 16, 16)
    assert images.pixels.dtype == np.uint8
    for k, record in enumerate(images.records):
        np.testing.assert_array_equal(images.pixels[k], noise(k))
        assert (record.width, record.height, record.mode, record.error) == (16, 16, "L", "")
        assert record.pixel_hash == decode_image(paths[k]).pixel_hash


def test_chunks_keep_the_order(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images_module, "CHUNK", 3)
    images = read_images(paths, DecodeSettings(), tmp_path / "cache")
    np.testing.assert_array_equal(images.pixels, np.stack([noise(k) for k in range(7)]))


def test_second_reading_decodes_nothing(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    first = read_images(paths, DecodeSettings(), tmp_path / "cache")
    assert set(decoded) == set(paths)
    decoded.clear()
    second = read_images(paths, DecodeSettings(), tmp_path / "cache")
    assert decoded == []
    assert second.records == first.records
    np.testing.assert_array_equal(second.pixels, first.pixels)
    assert isinstance(second.pixels, np.memmap)


def test_a_changed_file_is_decoded_again(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    read_images(paths, DecodeSettings(), tmp_path / "cache")
    decoded.clear()
    before = paths[3].stat()
    save(paths[3], noise(3)[::-1].copy())
    os.utime(paths[3], ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    images = read_images(paths, DecodeSettings(), tmp_path / "cache")
    assert set(decoded) == set(paths)
    np.testing.assert_array_equal(images.pixels[3], noise(3)[::-1])


def test_settings_and_files_are_part_of_the_key(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    cache = tmp_path / "cache"
    read_images(paths, DecodeSettings(), cache)
    for chosen, settings in (
        (paths, DecodeSettings(resize=(8, 8))),
        (paths, DecodeSettings(bits16=(0, 4095))),
        (paths[:6], DecodeSettings()),
        (paths[::-1], DecodeSettings()),
    ):
        decoded.clear()
        read_images(chosen, settings, cache)
        assert set(decoded) == set(chosen)
    assert len(list((cache / "pixels").iterdir())) == 5


def test_writing_to_the_pixels_does_not_reach_the_cache(paths: list[Path], tmp_path: Path) -> None:
    images = read_images(paths, DecodeSettings(), tmp_path / "cache")
    images.pixels[:] = 0
    again = read_images(paths, DecodeSettings(), tmp_path / "cache")
    np.testing.assert_array_equal(again.pixels[0], noise(0))


def test_a_damaged_entry_is_replaced(
    paths: list[Path], tmp_path: Path, decoded: list[Path]
) -> None:
    cache = tmp_path / "cache"
    read_images(paths, DecodeSettings(), cache)
    (entry,) = (cache / "pixels").iterdir()
    (entry / "pixels.npy").write_bytes((entry / "pixels.npy").read_bytes()[:500])
    for expected in (set(paths), set()):
        decoded.clear()
        images = read_images(paths, DecodeSettings(), cache)
        assert set(decoded) == expected
        np.testing.assert_array_equal(images.pixels[6], noise(6))


def test_an_unwritable_cache_means_memory_and_one_warning(
    paths: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        images = read_images(paths, DecodeSettings(), tmp_path / "cache")
    np.testing.assert_array_equal(images.pixels, np.stack([noise(k) for k in range(7)]))
    assert len(caplog.records) == 1
    assert "stay in memory" in caplog.text


def test_a_full_disk_leaves_no_debris(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images_module, "_write_header", full)
    images = read_images(paths, DecodeSettings(), tmp_path / "cache")
    np.testing.assert_array_equal(images.pixels[5], noise(5))
    assert list((tmp_path / "cache/pixels").iterdir()) == []


def test_resize_keeps_the_size_of_the_file_in_the_record(paths: list[Path], tmp_path: Path) -> None:
    images = read_images(paths, DecodeSettings(resize=(8, 4)), tmp_path / "cache")
    assert images.pixels.shape == (7, 8, 4)
    assert (images.records[0].width, images.records[0].height) == (16, 16)
    assert images.records[0].pixel_hash == decode_image(paths[0]).pixel_hash


def test_unreadable_files_are_recorded_and_nothing_is_cached(
    paths: list[Path], tmp_path: Path
) -> None:
    paths[2].write_text("text")
    images = read_images(paths, DecodeSettings(), tmp_path / "cache")
    assert [bool(record.error) for record in images.records] == [k == 2 for k in range(7)]
    np.testing.assert_array_equal(images.pixels[3], noise(3))
    assert list((tmp_path / "cache/pixels").iterdir()) == []


def test_cache_folder_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "gansfp"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache/gansfp"


@pytest.mark.parametrize("settings", [{"bits16": (9, 9)}, {"resize": (0, 4)}])
def test_impossible_settings(settings: dict[str, tuple[int, int]]) -> None:
    with pytest.raises(UserError, match=next(iter(settings))):
        DecodeSettings(**settings)
