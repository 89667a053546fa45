from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gansfp.data.benchmark import Benchmark
from gansfp.data.groups import assign_groups
from gansfp.errors import UserError

IDS = [
    "train/real_used/img_1.png",
    "train/real_used/img_2.png",
    "train/real_not_used/img_3.png",
    "train/real_not_used/img_2.png",
    "test/real_unknown/scan.1.png",
    "test/real_unknown/img_3.png",
]


def assign(tmp_path: Path, text: str, split: str | None = None) -> tuple[list[str], list[str]]:
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return assign_groups(IDS, [(path, split)])


@pytest.mark.parametrize("name", ["img_1", "img_1.png", "real_used/img_1", "Real-used/img_1.png",
                                  "train/real_used/img_1.png", "./real_used/img_1",
                                  "real_used\\img_1.png"])  # fmt: skip
@pytest.mark.parametrize("header", ["", "file,group\n", "image,patient\n", "name,patient_id\n"])
def test_names_and_headers(tmp_path: Path, name: str, header: str) -> None:
    groups, problems = assign(tmp_path, f"{header}{name},p 7\n")
    assert problems == []
    assert groups == ["p 7", *IDS[1:]]


def test_dots_belong_to_the_name(tmp_path: Path) -> None:
    assert assign(tmp_path, "scan.1,p\n")[0][4] == "p"


def test_unknown_names_are_named(tmp_path: Path) -> None:
    groups, problems = assign(tmp_path, "img_1,p\nnobody.png,p\nreal_unknown/img_1,q\n")
    assert groups[0] == "p"
    assert len(problems) == 1
    assert "nobody.png, real_unknown/img_1: not images of this benchmark" in problems[0]


def test_names_of_several_images(tmp_path: Path) -> None:
    assert "img_2: name several images" in assign(tmp_path, "img_2,p\n")[1][0]
    groups, problems = assign(tmp_path, "real_used/img_2,p\nreal_not_used/img_2,q\n")
    assert (groups[1], groups[3], problems) == ("p", "q", [])


def test_a_file_in_a_split_speaks_of_that_split(tmp_path: Path) -> None:
    groups, problems = assign(tmp_path, "img_3,p\n", split="test")
    assert (groups[5], groups[2], problems) == ("p", IDS[2], [])


def test_contradictions(tmp_path: Path) -> None:
    assert assign(tmp_path, "img_1,p\nimg_1.png,p\n")[1] == []
    assert (
        "img_1.png: have two different groups" in assign(tmp_path, "img_1,p\nimg_1.png,q\n")[1][0]
    )


@pytest.mark.parametrize("line", ["img_1", "img_1,", "img_1,p,q"])
def test_malformed_lines(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=r"groups\.csv: line"):
        assign(tmp_path, f"file,group\n{line}\n")


def test_attribution_folders(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("gen_t1/a.png,p\nreal/t1/a,q\n")
    ids = ["train/generated/t1/a.png", "train/generated/t2/a.png", "train/real/t1/a.png"]
    groups, problems = assign_groups(ids, [(path, None)])
    # gen_t1/a.png also ends like real/t1/a.png: the class alone does not tell the two apart.
    assert problems
    path.write_text("generated/gen_t1/a.png,p\nreal/t1/a,q\n")
    groups, problems = assign_groups(ids, [(path, None)])
    assert (groups, problems) == (["p", ids[1], "q"], [])


def test_group_files_of_a_benchmark(
    load: Callable[..., Benchmark], membership_root: Path, tmp_path: Path
) -> None:
    (membership_root / "groups.csv").write_text("train/generated/img_1.png,root\n")
    (membership_root / "train/groups.csv").write_text("real_used/img_1,p\nreal_not_used/img_1,p\n")
    (membership_root / "test/groups.csv").write_text("file,group\nreal_unknown/img_8.png,q\n")
    benchmark = load("membership", membership_root)
    assert benchmark.has_groups
    named = benchmark.index.frame.set_index("sample_id")["group"]
    assert named["train/real_used/img_1.png"] == named["train/real_not_used/img_1.png"] == "p"
    assert named["test/real_unknown/img_8.png"] == "q"
    assert named["train/generated/img_1.png"] == "root"
    assert named["train/real_used/img_2.png"] == "train/real_used/img_2.png"
    assert benchmark.groups(np.array([6])).tolist() == ["p"]

    own = tmp_path / "mine.csv"
    own.write_text("real_used/img_2,r\n")
    groups = load("membership", membership_root, groups=own).index.frame["group"]
    assert set(groups) - set(benchmark.index.frame["sample_id"]) == {"r"}


def test_missing_group_file(load: Callable[..., Benchmark], membership_root: Path) -> None:
    with pytest.raises(UserError, match=r"none\.csv: no such file; data\.groups"):
        load("membership", membership_root, groups="none.csv")
