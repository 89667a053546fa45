"""The scripts of the large studies run every recipe that they are about."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "conf" / "experiment"


def _named(folder: str) -> set[str]:
    return {f"{folder}/{path.stem}" for path in (RECIPES / folder).glob("*.yaml")}


def _printed(script: str, *words: str) -> list[list[str]]:
    """Words of each process, with `echo` in the place of gansfp."""
    done = subprocess.run(
        ["sh", str(ROOT / "experiments" / script), *words],
        env={"PATH": os.environ["PATH"], "GANSFP": "echo", "WORDS": "debug=step"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [line.split() for line in done.stdout.splitlines()]


def _experiments(lines: list[list[str]]) -> list[str]:
    words = [word for line in lines for word in line if word.startswith("experiment=")]
    return [name for word in words for name in word.removeprefix("experiment=").split(",")]


def _shadowless_membership(folder: str) -> set[str]:
    def asks(path: Path) -> bool:
        text = path.read_text()
        return "task: attribution" not in text and "/method: shadow" not in text

    return {name for name in _named(folder) if asks(RECIPES / f"{name}.yaml")}


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("table2/run.sh", _named("table2") | _named("earlier")),
        (
            "null/run.sh",
            _named("table2") | _named("earlier") | _shadowless_membership("beyond")
            | {"quickstart/membership_distance", "quickstart/membership_siamese"},
        ),
    ],
)  # fmt: skip
def test_a_script_runs_every_recipe_once(script: str, wanted: set[str]) -> None:
    lines = _printed(script, "null-1=/tmp/a folder")
    found = _experiments(lines)
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert all("study=null-1" in line and "data.root=/tmp/a" in line for line in lines)
