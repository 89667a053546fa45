from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from gansfp.commands import inspect
from gansfp.errors import UserError

COUNTS = {
    "membership": {
        "train/generated": 5, "train/real_used": 4, "train/real_not_used": 6,
        "test/generated": 3, "test/real_unknown": 7,
    },
    "attribution": {
        "train/generated/gen_t1": 5, "train/generated/gen_t2": 4, "train/real/t1": 3,
        "train/real/t2": 2, "test/generated_unknown": 6,
    },
}  # fmt: skip
TARGETS = {
    "membership": "gansfp.data.membership.MembershipDataModule",
    "attribution": "gansfp.data.attribution.AttributionDataModule",
}


def write(root: Path, task: str) -> Path:
    generator = np.random.default_rng(0)
    for folder, count in COUNTS[task].items():
        (root / folder).mkdir(parents=True)
        for k in range(count):
            pixels = generator.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / f"a {k} [b].png")
    return root


def config(tmp_path: Path, task: str, root: Path, output: str | None) -> Any:
    data = {"_target_": TARGETS[task], "root": str(root), "cache_dir": str(tmp_path / "cache")}
    return OmegaConf.create({"task": task, "data": data, "output": output, "trust": []})


@pytest.mark.parametrize("task", list(COUNTS))
def test_a_sound_dataset(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path / "data [1]", task)
    sheet = tmp_path / "new" / "sheet.png"
    inspect.run(config(tmp_path, task, root, str(sheet)))
    text = capsys.readouterr().out
    assert f"{task}: {sum(COUNTS[task].values())} images, groups: not known" in text
    assert f"train: {root}/train" in text
    assert "no problems" in text
    assert "16 x 16" in text
    with Image.open(sheet) as image:
        assert image.height > 500
    # One line for each set: its count stands behind its name.
    for folder, count in COUNTS[task].items():
        role, *label = folder.split("/")[1:]
        lines = [line.split() for line in text.splitlines() if f" {role} " in line]
        wanted = [line for line in lines if not label or label[0].removeprefix("gen_") in line]
        assert any(str(count) in line for line in wanted)


def test_every_problem_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path / "data", "membership")
    (root / "train/generated/a 0 [b].png").write_text("text")
    copy = (root / "train/real_used/a 1 [b].png").read_bytes()
    (root / "train/real_not_used/same.png").write_bytes(copy)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(root / "test/generated/small.png")
    with pytest.raises(UserError, match="3 problems make this dataset unusable"):
        inspect.run(config(tmp_path, "membership", root, None))
    text = capsys.readouterr().out
    for part in ("a 0 [b].png: unreadable", "different sizes", "both in real_used"):
        assert part in text
    assert "16 x 16 (3), 8 x 8 (1)" in text
    assert "contact sheet" not in text


def test_copies_and_groups_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path / "data", "membership")
    copy = (root / "train/generated/a 1 [b].png").read_bytes()
    (root / "train/generated/same.png").write_bytes(copy)
    (root / "groups.csv").write_text("real_used/a 1 [b],p\nreal_used/a 2 [b].png,p\n")
    inspect.run(config(tmp_path, "membership", root, None))
    text = capsys.readouterr().out
    assert "train generated: 1 (train/generated/a 1 [b].png = train/generated/same.png)" in text
    assert "26 images, groups: 25" in text


def test_a_dataset_without_an_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in COUNTS["membership"]:
        (tmp_path / "data" / folder).mkdir(parents=True)
    with pytest.raises(UserError, match="5 problems"):
        inspect.run(config(tmp_path, "membership", tmp_path / "data", str(tmp_path / "s.png")))
    assert not (tmp_path / "s.png").exists()
