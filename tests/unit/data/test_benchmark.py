from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.unit.data.conftest import noise, save

from gansfp.data.benchmark import Benchmark, survey_benchmark
from gansfp.data.checks import duplicates_within_roles
from gansfp.errors import UserError

Load = Callable[..., Benchmark]


def test_index_of_membership(membership: Benchmark) -> None:
    frame = membership.index.frame
    assert list(frame.columns) == [
        "sample_id", "path", "split", "role", "label", "group", "width", "height", "mode",
        "pixel_hash",
    ]  # fmt: skip
    assert frame["sample_id"].is_unique
    assert (frame["group"] == frame["sample_id"]).all()
    assert not membership.has_groups
    assert membership.image_size == (16, 16)


def test_rows_are_selected_by_column(membership: Benchmark) -> None:
    assert len(membership.rows()) == len(membership) == 40
    assert len(membership.rows(role="generated")) == 10
    assert len(membership.rows("train", "generated")) == 6
    used = membership.rows(label="used")
    assert used.dtype == np.int64
    np.testing.assert_array_equal(used, membership.rows("train", "real_used"))
    assert set(membership.labels(used).tolist()) == {"used"}


def test_unknown_labels_are_none(membership: Benchmark) -> None:
    assert membership.labels(membership.candidates("test")).tolist() == [None] * 8
    with pytest.raises(ValueError, match="no target"):
        membership.targets(membership.candidates("test"))


def test_candidates(membership: Benchmark, attribution: Benchmark) -> None:
    assert membership.targets(membership.candidates("train")).tolist() == [1] * 10 + [0] * 12
    assert len(membership.candidates("test")) == 8
    train = attribution.candidates("train")
    assert attribution.targets(train).tolist() == [0] * 11 + [1] * 12 + [2] * 20
    assert set(attribution.index.frame["role"].iloc[train]) == {"generated"}
    assert len(attribution.candidates("test")) == 7


def test_rows_of_index_and_pixels_agree(membership: Benchmark) -> None:
    row = membership.index.frame["sample_id"].tolist().index("train/real_used/img_10.png")
    np.testing.assert_array_equal(membership.images(np.array([row]))[0], noise(6 + 9))


def test_test_labels_are_never_read(load: Load, membership_root: Path) -> None:
    (membership_root / "test/labels.csv").write_text("\0 not even a table", encoding="utf-8")
    assert len(load("membership", membership_root)) == 40


def test_one_error_lists_the_unreadable_files(load: Load, membership_root: Path) -> None:
    for number in range(1, 8):
        (membership_root / f"test/real_unknown/img_{number}.png").write_text("text")
    with pytest.raises(UserError, match="7 images cannot be used") as error:
        load("membership", membership_root)
    text = str(error.value)
    assert [f"img_{k}.png" in text for k in range(1, 8)] == [True] * 5 + [False] * 2
    assert "and 2 more" in text
    assert "\n" not in text


def test_one_truncated_file_is_named(load: Load, membership_root: Path) -> None:
    path = membership_root / "train/generated/img_3.png"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"generated/img_3\.png: unreadable"):
        load("membership", membership_root)


def test_picture_in_used_and_not_used(load: Load, membership_root: Path) -> None:
    # Another format and another name: only the pixels are the same.
    used = membership_root / "train/real_used/img_4.png"
    save(membership_root / "train/real_not_used/other.tif", noise(9))
    with pytest.raises(UserError, match=r"both in real_used and in real_not_used") as error:
        load("membership", membership_root)
    assert str(used) in str(error.value)
    assert "real_not_used/other.tif" in str(error.value)


@pytest.mark.parametrize("role", ["real_used", "real_not_used"])
def test_test_image_that_is_labelled(load: Load, membership_root: Path, role: str) -> None:
    save(membership_root / "train" / role / "copy.png", noise(32))  # the first real_unknown
    with pytest.raises(UserError, match="labelled images that are also test images") as error:
        load("membership", membership_root)
    assert f"{role}/copy.png" in str(error.value)
    assert "real_unknown/img_1.png" in str(error.value)


@pytest.mark.parametrize("folder", ["train/generated/gen_t2", "train/real/t10"])
def test_attribution_test_image_that_is_labelled(
    load: Load, attribution_root: Path, folder: str
) -> None:
    save(attribution_root / folder / "copy.png", noise(500))
    save(attribution_root / "test/generated_unknown/same.png", noise(500))
    with pytest.raises(UserError, match="labelled images that are also test images"):
        load("attribution", attribution_root)


def test_a_generated_copy_of_a_real_image_is_a_finding_not_an_error(
    load: Load, membership_root: Path
) -> None:
    save(membership_root / "train/generated/memorised.png", noise(6))
    assert len(load("membership", membership_root)) == 41


def test_mixed_sizes_need_a_resize(load: Load, membership_root: Path) -> None:
    save(membership_root / "train/generated/large.png", noise(99, side=24))
    with pytest.raises(
        UserError, match=r"different sizes: 40 of 16 x 16 .*, 1 of 24 x 24 .*large\.png.*resize"
    ):
        load("membership", membership_root)
    assert load("membership", membership_root, resize=16).image_size == (16, 16)
    assert load("membership", membership_root, resize=[8, 12]).image_size == (8, 12)


def test_empty_folder(load: Load, membership_root: Path) -> None:
    for path in (membership_root / "train/real_used").iterdir():
        path.unlink()
    with pytest.raises(UserError, match="real_used: no image in it"):
        load("membership", membership_root)


def test_equal_stems_in_the_test_set(load: Load, membership_root: Path) -> None:
    save(membership_root / "train/real_used/img_1.tif", noise(98))
    assert len(load("membership", membership_root)) == 41
    save(membership_root / "test/real_unknown/img_1.tif", noise(99))
    with pytest.raises(UserError, match="differ only in their extension"):
        load("membership", membership_root)


def test_all_problems_are_collected(membership_root: Path, tmp_path: Path) -> None:
    (membership_root / "train/generated/img_1.png").write_text("text")
    save(membership_root / "train/generated/large.png", noise(99, side=24))
    save(membership_root / "train/real_not_used/img_99.png", noise(6))
    save(membership_root / "test/real_unknown/img_99.png", noise(7))
    save(membership_root / "test/real_unknown/img_1.bmp", noise(97))
    (membership_root / "groups.csv").write_text("nobody.png,p1\n")
    survey = survey_benchmark("membership", membership_root, cache_dir=tmp_path / "cache")
    wanted = (
        "unreadable", "nobody.png", "different sizes", "both in real_used", "also test images",
        "only in their extension",
    )  # fmt: skip
    assert len(survey.problems) == len(wanted)
    for problem, text in zip(survey.problems, wanted, strict=True):
        assert text in problem
    assert len(survey.benchmark) == 43


def test_copies_inside_a_role_are_only_counted(load: Load, membership_root: Path) -> None:
    for name in ("x", "y"):
        save(membership_root / f"train/real_used/{name}.png", noise(6))
    copies = duplicates_within_roles(load("membership", membership_root).index.frame)
    assert copies.to_dict("records") == [
        {
            "split": "train",
            "role": "real_used",
            "copies": 2,
            "example": "train/real_used/img_1.png = train/real_used/x.png",
        }
    ]


def test_no_copies(membership: Benchmark) -> None:
    assert duplicates_within_roles(membership.index.frame).empty


def test_palette_archive_equals_grey_archive(
    load: Load, membership: Benchmark, membership_root: Path
) -> None:
    from PIL import Image

    for path in membership_root.rglob("*.png"):
        with Image.open(path) as image:
            palette = image.convert("P")
        palette.save(path)
    again = load("membership", membership_root)
    assert set(again.index.frame["mode"]) == {"P"}
    assert again.index.frame["pixel_hash"].tolist() == membership.index.frame["pixel_hash"].tolist()
