from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.unit.data.conftest import noise, save

from gansfp.data.contact_sheet import CAPTION, GAP, TILE, draw_contact_sheet, image_sets, spread
from gansfp.data.near import best_match, near_duplicates, unit_thumbnails


def test_thumbnails_are_block_means_of_zero_mean_and_unit_length() -> None:
    pixels = np.stack([noise(k, 64) for k in range(3)])
    blocks = pixels.reshape(3, 32, 2, 32, 2).mean((2, 4)).reshape(3, -1)
    centred = blocks - blocks.mean(1, keepdims=True)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(unit_thumbnails(pixels), expected, atol=1e-6)


def test_a_picture_of_one_grey_value_is_like_nothing() -> None:
    flat = np.full((2, 64, 64), 77, dtype=np.uint8)
    assert not unit_thumbnails(flat).any()


def test_brightness_and_contrast_do_not_matter() -> None:
    picture = noise(0, 64) // 2
    brighter = (picture // 2 + 90).astype(np.uint8)
    thumbnails = unit_thumbnails(np.stack([picture, brighter, noise(1, 64)]))
    assert thumbnails[0] @ thumbnails[1] > 0.999
    assert abs(thumbnails[0] @ thumbnails[2]) < 0.2


def test_best_match_in_chunks(monkeypatch) -> None:
    from gansfp.data import near

    monkeypatch.setattr(near, "CHUNK", 3)
    generator = np.random.default_rng(0)
    queries, references = (generator.normal(size=(n, 6)).astype(np.float32) for n in (10, 7))
    cosine, partner = best_match(queries, references)
    products = queries @ references.T
    np.testing.assert_array_equal(partner, products.argmax(1))
    np.testing.assert_allclose(cosine, products.max(1), rtol=1e-5)


def test_near_duplicates_between_sets(load, membership_root: Path) -> None:
    almost = noise(6).copy()
    almost[0, 0] ^= 3
    save(membership_root / "test/real_unknown/almost.png", almost)
    found = {
        (pair.left, pair.right): pair
        for pair in near_duplicates(load("membership", membership_root))
    }
    assert len(found) == 6
    pair = found[("test", "real_unknown"), ("train", "real_used")]
    assert (pair.count, pair.total) == (1, 9)
    assert pair.example == ("test/real_unknown/almost.png", "train/real_used/img_1.png")
    assert pair.cosine > 0.999
    assert sum(other.count for other in found.values()) == 1


def test_spread_takes_both_ends() -> None:
    assert spread(np.arange(100), 5).tolist() == [0, 25, 50, 74, 99]
    assert spread(np.arange(3), 5).tolist() == [0, 1, 2]


def test_contact_sheet_has_a_row_for_each_set(attribution) -> None:
    sets = image_sets(attribution)
    assert next(iter(sets)) == ("train", "generated", "t1")
    assert list(sets)[-1] == ("test", "generated_unknown", "")
    assert len(sets) == 7
    sheet = np.asarray(draw_contact_sheet(attribution))
    assert sheet.shape[0] == 7 * (TILE + GAP) + GAP
    first = sheet[GAP : GAP + TILE, CAPTION : CAPTION + TILE]
    expected = attribution.images(sets["train", "generated", "t1"][:1])[0]
    assert abs(first.mean() - expected.mean()) < 2
    assert (sheet[:, : CAPTION - GAP] < 128).any()
