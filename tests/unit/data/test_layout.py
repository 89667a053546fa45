from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.data.conftest import noise, save

from gansfp.data.layout import natural_key, read_layout
from gansfp.errors import UserError


def ids(layout):
    return [file.sample_id for file in layout.files]


def test_natural_order() -> None:
    names = ["img_10.png", "img_2.png", "b.png", "img_1.png", "Img_3.png", "img_02.png", "7.png"]
    assert sorted(names, key=natural_key) == [
        "7.png", "b.png", "img_1.png", "img_02.png", "img_2.png", "Img_3.png", "img_10.png",
    ]  # fmt: skip


def test_membership_roles_and_order(membership_root: Path) -> None:
    layout = read_layout("membership", membership_root)
    names = ids(layout)
    assert len(names) == len(set(names)) == 40
    assert names[6:8] == ["train/real_used/img_1.png", "train/real_used/img_2.png"]
    assert names[15] == "train/real_used/img_10.png"
    labels = {(file.role, file.label) for file in layout.files}
    assert labels == {
        ("generated", None), ("real_used", "used"), ("real_not_used", "not_used"),
        ("real_unknown", None),
    }  # fmt: skip
    assert layout.problems == ()


def test_synthetic_images_of_another_benchmark_stand_in(
    tmp_path: Path, membership_root: Path, attribution_root: Path
) -> None:
    for split, role in (("train", "generated"), ("test", "generated"), ("train", "real_used")):
        save(tmp_path / split / role / "other.png", noise(0))
    layout = read_layout("membership", membership_root, generated_from=tmp_path)
    own = read_layout("membership", membership_root)
    made = [file.path for file in layout.files if file.role == "generated"]
    assert made == [tmp_path / split / "generated" / "other.png" for split in ("train", "test")]
    assert [f for f in layout.files if f.role != "generated"] == [
        f for f in own.files if f.role != "generated"
    ]
    with pytest.raises(UserError, match=r"data.generated_from: is for task=membership"):
        read_layout("attribution", attribution_root, generated_from=tmp_path)


def test_attribution_classes(attribution_root: Path) -> None:
    layout = read_layout("attribution", attribution_root)
    assert layout.classes == ("t1", "t2", "t10")
    assert ids(layout)[0] == "train/generated/t1/img_1.png"
    counts = {}
    for file in layout.files:
        counts[file.role, file.label] = counts.get((file.role, file.label), 0) + 1
    assert counts == {
        ("generated", "t1"): 11, ("generated", "t2"): 12, ("generated", "t10"): 20,
        ("real", "t1"): 6, ("real", "t2"): 7, ("real", "t10"): 15,
        ("generated_unknown", None): 7,
    }  # fmt: skip


@pytest.mark.parametrize("used", ["real_used", "Real-Used", "REAL USED"])
@pytest.mark.parametrize("unused", ["real_not_used", "real not used", "Real_not-used"])
def test_names_are_matched_leniently(tmp_path: Path, used: str, unused: str) -> None:
    for folder in ("Train/Generated", f"Train/{used}", f"Train/{unused}"):
        save(tmp_path / folder / "a.png", noise(0))
    for folder in ("TEST/generated", "TEST/real unknown"):
        save(tmp_path / folder / "a.png", noise(0))
    assert ids(read_layout("membership", tmp_path)) == [
        "train/generated/a.png", "train/real_used/a.png", "train/real_not_used/a.png",
        "test/generated/a.png", "test/real_unknown/a.png",
    ]  # fmt: skip


def test_archives_with_their_own_names(tmp_path: Path) -> None:
    train = tmp_path / "ImageCLEF25_GAN_Detect_Training_Data_Usage_training-dataset"
    for role in ("generated", "real_used", "real_not_used"):
        save(train / role / "a.png", noise(0))
    test = tmp_path / "elsewhere"
    for role in ("generated", "real_unknown"):
        save(test / role / "a.png", noise(0))
    given = read_layout("membership", train_dir=train, test_dir=test)
    assert len(given.files) == 5
    test.rename(tmp_path / "ImageCLEF25_GAN_Detect_Training_Data_Usage_test-dataset")
    assert ids(read_layout("membership", tmp_path)) == ids(given)


def test_attribution_archives(tmp_path: Path) -> None:
    train = tmp_path / "GAN25_Identify_Training_Data_Subset"
    for k in range(1, 4):
        save(train / "generated" / f"gen_T{k}" / "a.png", noise(0))
        save(train / "real" / f"t{k}" / "a.png", noise(0))
    test = tmp_path / "Subtask2_test" / "generated_unknown"
    save(test / "a.png", noise(0))
    for test_dir in (test, test.parent):
        layout = read_layout("attribution", train_dir=train, test_dir=test_dir)
        assert layout.classes == ("t1", "t2", "t3")
        assert ids(layout)[-1] == "test/generated_unknown/a.png"


def test_attribution_without_real_images(tmp_path: Path) -> None:
    for name in ("stylegan", "ddpm"):
        save(tmp_path / "train/generated" / name / "a.png", noise(0))
    save(tmp_path / "test/generated_unknown/a.png", noise(0))
    assert read_layout("attribution", tmp_path).classes == ("ddpm", "stylegan")


def test_debris_is_ignored_and_other_files_are_told(membership_root: Path) -> None:
    before = ids(read_layout("membership", membership_root))
    for name in (".DS_Store", "Thumbs.db", "labels.csv", "groups.csv", "._img_1.png"):
        (membership_root / "test/real_unknown" / name).touch()
    (membership_root / "__MACOSX/train").mkdir(parents=True)
    (membership_root / "train/real_used/__MACOSX").mkdir()
    (membership_root / "train/real_used/readme.txt").touch()
    layout = read_layout("membership", membership_root)
    assert ids(layout) == before
    assert [path.name for path in layout.ignored] == ["readme.txt"]
    assert layout.problems == ()


def test_no_root() -> None:
    with pytest.raises(UserError, match=r"data\.root is not set: data\.root=PATH"):
        read_layout("membership")


def test_missing_root(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        read_layout("membership", tmp_path / "nowhere")


def test_wrong_root_says_what_is_there(membership_root: Path) -> None:
    with pytest.raises(
        UserError,
        match=r"no train/ folder \(there: generated, real_not_used, real_used\).*train_dir",
    ):
        read_layout("membership", membership_root / "train")


def test_missing_test_folder_names_the_cure(membership_root: Path) -> None:
    (membership_root / "test").rename(membership_root / "hidden")
    with pytest.raises(
        UserError, match=r"no test/ folder \(there: hidden, train\).*data\.test_dir"
    ):
        read_layout("membership", membership_root)
    found = read_layout("membership", membership_root, test_dir=membership_root / "hidden")
    assert len(found.files) == 40


def test_wrong_task_names_the_missing_role(attribution_root: Path) -> None:
    with pytest.raises(UserError, match=r"no real_used/ folder \(there: generated, real\)"):
        read_layout("membership", attribution_root)


def test_class_on_one_side_only(attribution_root: Path) -> None:
    (attribution_root / "train/real/t2").rename(attribution_root / "train/real/t3")
    with pytest.raises(UserError, match="class t2, t3 lacks"):
        read_layout("attribution", attribution_root)


def test_two_folders_of_one_meaning(membership_root: Path) -> None:
    save(membership_root / "train/Real Used/a.png", noise(99))
    with pytest.raises(UserError, match="several folders mean real_used"):
        read_layout("membership", membership_root)


def test_empty_folders_and_inner_folders_are_problems(membership_root: Path) -> None:
    for path in (membership_root / "test/real_unknown").iterdir():
        path.unlink()
    (membership_root / "test/real_unknown/readme.txt").touch()
    save(membership_root / "train/real_used/patient 1/a.png", noise(99))
    problems = read_layout("membership", membership_root).problems
    assert len(problems) == 2
    assert "real_used: holds folders (patient 1)" in problems[0]
    assert "real_unknown: no image in it (1 files that are not images by name)" in problems[1]
