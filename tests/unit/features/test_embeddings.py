"""Embeddings do not depend on batches, and the cache knows what they depend on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gansfp.features import embeddings
from gansfp.features.backbones import Backbone, load_backbone
from gansfp.features.embeddings import cache_key, embed


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return replace(load_backbone("mobilenetv3_small_050", "none", device="cpu"), size=64)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 32, 32), dtype=np.uint8)


def test_batches_do_not_matter(backbone: Backbone, images: np.ndarray) -> None:
    whole = embed(images, backbone)
    assert whole.shape == (7, backbone.dim)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(embed(images, backbone, batch_size=3), whole, atol=1e-4)
    assert len(np.unique(whole.round(5), axis=0)) == 7


def test_second_call_reads_the_file(
    backbone: Backbone, images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embed(images, backbone, cache_dir=tmp_path)
    monkeypatch.setattr(embeddings, "_compute", lambda *a: pytest.fail("computed again"))
    np.testing.assert_array_equal(embed(images, backbone, cache_dir=tmp_path), first)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]


def test_key_holds_pixels_order_weights_and_preprocessing(
    backbone: Backbone, images: np.ndarray
) -> None:
    other = images.copy()
    other[3, 0, 0] ^= 1
    keys = {
        cache_key(images, backbone),
        cache_key(other, backbone),
        cache_key(images[::-1], backbone),
        cache_key(images.reshape(14, 16, 32), backbone),
        cache_key(images, replace(backbone, identity="0")),
        cache_key(images, replace(backbone, size=96)),
        cache_key(images, replace(backbone, bf16=True)),
    }
    assert len(keys) == 7
    assert cache_key(images.copy(), backbone) in keys


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00v\x00{'descr'"])
def test_broken_file_is_replaced(
    backbone: Backbone, images: np.ndarray, tmp_path: Path, damage: bytes
) -> None:
    first = embed(images, backbone, cache_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    np.testing.assert_array_equal(embed(images, backbone, cache_dir=tmp_path), first)
    np.testing.assert_array_equal(np.load(path), first)


def test_a_cache_that_cannot_be_written_is_a_warning(
    backbone: Backbone, images: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    features = embed(images[:2], backbone, cache_dir=tmp_path / "file" / "cache")
    np.testing.assert_array_equal(features, embed(images[:2], backbone))
    assert "not kept" in caplog.text
