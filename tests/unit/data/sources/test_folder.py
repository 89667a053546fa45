from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gansfp.data.sources.folder import FolderSource
from gansfp.data.sources.shaping import resize_square
from gansfp.data.writing import write_csv, write_images, write_png
from gansfp.errors import UserError


def noise(count=3, size=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size)).astype(np.uint8)


def test_images_come_in_natural_order_with_their_pixels(tmp_path):
    images = noise(11)
    write_images(tmp_path, "slice", images)
    found = FolderSource(str(tmp_path)).read()
    assert found.names == tuple(f"slice_{k}.png" for k in range(1, 12))
    np.testing.assert_array_equal(found.pixels, images)
    assert found.groups == found.names
    assert len(set(found.hashes)) == 11


def test_groups_from_a_table_a_pattern_or_subfolders(tmp_path):
    write_images(tmp_path / "p1", "a", noise(2))
    write_images(tmp_path / "p2", "a", noise(2, seed=1))
    by_name = FolderSource(str(tmp_path), group_regex=r"^(p\d)/").read()
    assert by_name.groups == ("p1", "p1", "p2", "p2")
    table = tmp_path.parent / "table.csv"
    write_csv(table, ("file", "group"), [("p1/a_1.png", "x"), ("p2/a_1.png", "x")])
    by_table = FolderSource(str(tmp_path), groups=str(table)).read()
    assert by_table.groups == ("x", "p1/a_2.png", "x", "p2/a_2.png")
    with pytest.raises(UserError, match="finds no group"):
        FolderSource(str(tmp_path), group_regex=r"(q\d)").read()
    with pytest.raises(UserError, match=r"nowhere\.csv"):
        FolderSource(str(tmp_path), groups="nowhere.csv").read()


def test_resize_is_the_mean_of_the_covered_area(tmp_path):
    images = noise(2)
    write_images(tmp_path, "a", images)
    found = FolderSource(str(tmp_path), resize=4).read()
    mean = images.reshape(2, 4, 2, 4, 2).mean(axis=(2, 4))
    assert np.abs(found.pixels - mean).max() <= 1  # Pillow rounds after each axis
    assert resize_square(images[0], 16).shape == (16, 16)
    np.testing.assert_array_equal(resize_square(images[0], 8), images[0])


def test_crop_takes_the_middle(tmp_path):
    wide = noise(1, 12)[0][:8]
    write_png(tmp_path / "wide.png", wide)
    with pytest.raises(UserError, match=r"source\.crop=true"):
        FolderSource(str(tmp_path)).read()
    found = FolderSource(str(tmp_path), crop=True).read()
    np.testing.assert_array_equal(found.pixels[0], wide[:, 2:10])


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        FolderSource(str(tmp_path / "none")).read()
    with pytest.raises(UserError, match="no image fits"):
        FolderSource(str(tmp_path)).read()
    images = noise(2)
    write_images(tmp_path, "a", images)
    write_png(tmp_path / "b.png", images[0])
    with pytest.raises(UserError, match=r"b\.png: the same image as a_1\.png"):
        FolderSource(str(tmp_path)).read()
    (tmp_path / "b.png").unlink()
    write_png(tmp_path / "b.png", noise(1, 10)[0])
    with pytest.raises(UserError, match=r"set source\.resize"):
        FolderSource(str(tmp_path)).read()
    (tmp_path / "b.png").write_text("text")
    with pytest.raises(UserError, match="not an image"):
        FolderSource(str(tmp_path)).read()


def test_pattern_limit_and_hidden_files(tmp_path):
    write_images(tmp_path, "a", noise(3))
    write_images(tmp_path, "c", noise(1, seed=2))
    write_images(tmp_path / ".hidden", "a", noise(1, seed=3))
    assert FolderSource(str(tmp_path), pattern="a_*").read().names == tuple(
        f"a_{k}.png" for k in (1, 2, 3)
    )
    assert len(FolderSource(str(tmp_path), limit=2).read()) == 2


def test_fingerprint_changes_with_pixels_groups_and_size(tmp_path):
    write_images(tmp_path, "a", noise(2))
    plain = FolderSource(str(tmp_path)).read().fingerprint
    assert plain == FolderSource(str(tmp_path)).read().fingerprint
    assert plain != FolderSource(str(tmp_path), resize=4).read().fingerprint
    assert plain != FolderSource(str(tmp_path), group_regex="a").read().fingerprint
    Image.fromarray(noise(1, seed=9)[0]).save(tmp_path / "a_1.png")
    assert plain != FolderSource(str(tmp_path)).read().fingerprint
