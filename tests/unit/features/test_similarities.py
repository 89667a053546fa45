"""Similarities of images against scikit-image and scipy, and through their description."""

from __future__ import annotations

import numpy as np
import pytest
from planted import small_backbone
from scipy.spatial.distance import cdist
from skimage.metrics import structural_similarity

from gansfp.errors import UserError
from gansfp.features.backbones import BackboneSpec
from gansfp.features.enhance import enhance
from gansfp.features.representations import NCC, Pixels
from gansfp.features.similarities import SSIM, Cosine, Jaccard, MapSSIM, similarity_from_spec


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(BackboneSpec, "load", small_backbone)
    return np.random.default_rng(0).integers(0, 256, (6, 64, 64), dtype=np.uint8)


def test_map_ssim_is_scikit_images_on_maps(images: np.ndarray) -> None:
    measure = MapSSIM(window=7)
    maps = measure.maps(images)
    assert maps.dtype == np.uint8
    np.testing.assert_array_equal(maps.min((1, 2)), 0)
    np.testing.assert_array_equal(maps.max((1, 2)), 255)
    expected = [
        [structural_similarity(x, y, data_range=255, win_size=7) for y in maps[2:]]
        for x in maps[:2]
    ]
    np.testing.assert_allclose(measure.matrix(images[:2], images[2:]), expected, atol=1e-5)
    np.testing.assert_array_equal(MapSSIM(batch_size=4).maps(images), maps)


def test_jaccard_binarises_at_the_mean(images: np.ndarray) -> None:
    flat = images.reshape(6, -1).astype(float)
    binary = flat > flat.mean(axis=1, keepdims=True)
    expected = 1 - cdist(binary[:2], binary[2:], "jaccard")
    found = Jaccard(Pixels()).matrix(images[:2], images[2:])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_filters_are_averaged(images: np.ndarray) -> None:
    names = ("gaussian", "laplacian")
    parts = [Cosine().matrix(enhance(images[:2], n), enhance(images[2:], n)) for n in names]
    found = Cosine(filters=names).matrix(images[:2], images[2:])
    np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=1e-6)


@pytest.mark.parametrize(
    "measure",
    [
        Cosine(NCC(), filters=["gaussian"]),
        Jaccard(Pixels(8)),
        SSIM(window=5, filters=["laplacian"], device="cpu"),
        MapSSIM(window=3),
    ],
    ids=lambda measure: type(measure).__name__,
)
def test_a_described_similarity_is_built_again(measure: object, images: np.ndarray) -> None:
    again = similarity_from_spec(measure.spec())  # type: ignore[attr-defined]
    assert type(again) is type(measure)
    found, expected = (m.matrix(images[:2], images) for m in (again, measure))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-5)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UserError, match="choose cosine, jaccard, ssim or map_ssim"):
        similarity_from_spec({"kind": "mse"})
