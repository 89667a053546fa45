"""docs/first_hour.md, followed to the letter on small data."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from toy import MembershipCounts, write_toy_membership

from gansfp import cli

DOCUMENT = Path(__file__).parents[2] / "docs" / "first_hour.md"
SMALL = {
    "train": ["evaluator.bootstrap=50", "evaluator.permutations=50"],
    "forge": ["generator.steps=2", "benchmark.generated_train=20", "benchmark.generated_test=10",
              "benchmark.members=30", "benchmark.test_used=10", "card.kid=false"],
}  # fmt: skip


def steps() -> list[tuple[str, str]]:
    """Read the blocks of the document in order: language and text."""
    return re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)


def test_the_first_hour_goes_as_written(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [])  # put back afterwards
    monkeypatch.syspath_prepend(str(in_folder))  # export PYTHONPATH=$PWD
    counts = MembershipCounts(labelled=40, test=30, generated_train=40, generated_test=30)
    data = write_toy_membership(Path.home() / "imageclef", size=32, counts=counts)
    _real_images(data, Path.home() / "ct")
    ran = [line for kind, text in steps() for line in _follow(kind, text, in_folder)]
    assert [line.split()[1] for line in ran] == [
        "inspect", "train", "report", "forge", "train", "report", "train", "report", "status",
    ]  # fmt: skip
    assert Path("contact_sheet.png").is_file()
    for study in ("first", "ct", "mine"):
        assert list(Path("runs", study).glob("*/result.json")), study
    page = Path("runs/mine/report.html").read_text()
    assert "brightness" in page
    assert "4 finished" in capsys.readouterr().out


def _real_images(data: Path, folder: Path) -> None:
    """Make `~/ct`: real images of known patients."""
    folder.mkdir()
    rows = ["file,group"]
    groups = dict(line.split(",") for line in (data / "groups.csv").read_text().splitlines()[1:])
    for name, patient in groups.items():
        if (image := data / name).is_file() and "real_" in image.parent.name:
            (folder / image.name).write_bytes(image.read_bytes())
            rows.append(f"{image.name},{patient}")
    (folder / "groups.csv").write_text("\n".join(rows) + "\n")


def _follow(kind: str, text: str, here: Path) -> list[str]:
    """Write a file, or run the commands; those for other machines are composed elsewhere."""
    if kind in ("python", "yaml"):
        path = text.splitlines()[0].removeprefix("# ")
        target = Path(path).expanduser() if path.startswith("~") else here / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return []
    lines = [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ gansfp")]
    lines = [line for line in lines if "hydra/launcher" not in line]
    for line in lines:
        words = shlex.split(line)
        sys.argv = [*words, *SMALL.get(words[1], [])]
        cli.main()
    return lines
