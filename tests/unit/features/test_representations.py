"""Representations: distances are those that their names promise."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gansfp.errors import UserError
from gansfp.features import representations
from gansfp.features.backbones import BackboneSpec
from gansfp.features.neighbours import nearest
from gansfp.features.representations import NCC, Features, Pixels, from_spec


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (9, 8, 8), dtype=np.uint8)


def test_pixels_are_grey_values(images: np.ndarray) -> None:
    vectors = Pixels().encode(images)
    np.testing.assert_allclose(vectors, images.reshape(9, 64) / 255, rtol=1e-6)
    assert vectors.dtype == np.float32


def test_pixels_are_averaged_down(images: np.ndarray) -> None:
    blocks = images.reshape(9, 4, 2, 4, 2).mean(axis=(2, 4)) / 255
    np.testing.assert_allclose(Pixels(size=4).encode(images), blocks.reshape(9, 16), rtol=1e-5)
    with pytest.raises(UserError, match=r"size=9.*8 x 8"):
        Pixels(size=9).encode(images)


def test_ncc_distance_is_that_of_pearsons_r(images: np.ndarray) -> None:
    vectors = NCC().encode(images)
    r = np.corrcoef(images.reshape(9, 64).astype(float))
    distance, index = nearest(vectors, vectors, 9)
    expected = np.sqrt(np.maximum(2 - 2 * np.take_along_axis(r, index, 1), 0))
    np.testing.assert_allclose(distance, expected, atol=1e-6)


def test_ncc_does_not_see_brightness_and_contrast() -> None:
    image = np.random.default_rng(1).integers(0, 100, (1, 8, 8), dtype=np.uint8)
    np.testing.assert_allclose(NCC().encode(image), NCC().encode(2 * image + 17), atol=1e-6)


def test_constant_image_has_distance_one_in_ncc(images: np.ndarray) -> None:
    images[0] = 77
    vectors = NCC().encode(images)
    np.testing.assert_array_equal(vectors[0], 0)
    np.testing.assert_allclose(nearest(vectors[:1], vectors[1:], 8)[0], 1, atol=1e-6)


def test_features_are_unit_vectors(images: np.ndarray) -> None:
    spec = BackboneSpec("mobilenetv3_small_050", "none", "cpu")
    plain, unit = (Features(spec, normalize=n).encode(images[:2]) for n in (False, True))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(
        unit * np.linalg.norm(plain, axis=1, keepdims=True), plain, rtol=1e-4
    )


@pytest.mark.parametrize(
    "representation",
    [Pixels(), Pixels(16), NCC(4), Features(BackboneSpec("resnet18", "none"), cache_dir="x")],
    ids=str,
)
def test_spec_goes_through_json(representation: Pixels | NCC | Features) -> None:
    assert from_spec(json.loads(json.dumps(representation.spec()))) == representation


def test_unknown_kind() -> None:
    with pytest.raises(UserError, match="choose pixels, ncc, features, lbp, handcrafted"):
        from_spec({"kind": "sound"})


@pytest.mark.parametrize("representation", [Pixels(), Pixels(size=4), NCC(), NCC(size=4)])
def test_blocks_change_no_bit(
    representation: Pixels | NCC, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = representation.encode(images)
    monkeypatch.setattr(representations, "_CHUNK_PIXELS", 1)
    assert representation.encode(images).tobytes() == whole.tobytes()
