"""Patch mosaics against a loop over places, and what their formula implies."""

from __future__ import annotations

import numpy as np
import pytest

from gansfp.features import patches
from gansfp.features.neighbours import Exclusion
from gansfp.features.patches import mosaic_distances

SETS = np.array([1, 0, 2, 0, 1, 2, 0])


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((5, 12, 10)), rng.random((7, 12, 10))


def by_loops(queries, references, sets, side, stride, hidden=None) -> np.ndarray:
    half = side // 2
    mirrored = [
        np.pad(images, ((0, 0), (half, half), (half, half)), mode="reflect")
        for images in (queries, references)
    ]
    found = np.zeros((len(queries), sets.max() + 1))
    places = [
        (top, left)
        for top in range(0, queries.shape[1], stride)
        for left in range(0, queries.shape[2], stride)
    ]
    for n in range(len(queries)):
        for top, left in places:
            cut = (slice(top, top + side), slice(left, left + side))
            apart = ((mirrored[1][:, cut[0], cut[1]] - mirrored[0][n][cut]) ** 2).mean((1, 2))
            if hidden is not None:
                apart = np.where(hidden[n], np.inf, apart)
            found[n] += [apart[sets == k].min() for k in range(found.shape[1])]
    return found / len(places)


@pytest.mark.parametrize(("side", "stride"), [(1, 1), (3, 2), (5, 1), (7, 4)])
def test_equals_loops_over_places(images, side: int, stride: int) -> None:
    queries, references = images
    found = mosaic_distances(queries, references, SETS, side, stride, device="cpu")
    expected = by_loops(queries, references, SETS, side, stride)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_neither_blocks_nor_a_common_grey_value_change_anything(images, monkeypatch) -> None:
    queries, references = images
    found = mosaic_distances(queries, references, SETS, 5, device="cpu")
    shifted = mosaic_distances(queries + 3, references + 3, SETS, 5, device="cpu")
    np.testing.assert_allclose(shifted, found, rtol=1e-4)
    monkeypatch.setitem(patches._BLOCK, "cpu", 1)  # one query at a time
    np.testing.assert_allclose(
        mosaic_distances(queries, references, SETS, 5, device="cpu"), found, rtol=1e-6
    )


def test_a_mosaic_of_a_set_is_found_where_its_images_are_far(images) -> None:
    # Left half of one image of set 0, right half of another: no whole image is near.
    _, references = images
    mosaic = np.where(np.arange(10) < 5, references[1], references[3])[None]
    (found,) = mosaic_distances(mosaic, references, SETS, 1, device="cpu")
    assert found[0] < 1e-9
    assert found[1:].min() > 0.01


def test_excluded_pairs_do_not_count(images) -> None:
    _, references = images
    keys = np.array(["a", "b", "c", "d", "e", "f", "b"])
    found = mosaic_distances(
        references, references, SETS, 3, exclude=Exclusion(keys, keys), device="cpu"
    )
    hidden = keys[:, None] == keys[None]
    np.testing.assert_allclose(
        found, by_loops(references, references, SETS, 3, 1, hidden), rtol=1e-5
    )
    assert mosaic_distances(references, references, SETS, 3, device="cpu")[0, 1] < 1e-7  # itself


@pytest.mark.parametrize("side", [0, 4, 21])
def test_impossible_sides_are_refused(images, side: int) -> None:
    with pytest.raises(ValueError, match="odd, below 20"):
        mosaic_distances(*images, SETS, side, device="cpu")
