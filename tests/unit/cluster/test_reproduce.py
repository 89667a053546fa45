"""The command of a run, as `gansfp reproduce` prints it, makes that run again."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from gansfp import cli
from gansfp.arguments import to_hydra
from gansfp.runtime.provenance import _as_typed

NAMES = ["/data/ct (1)", "a,b", "Zoë", "O'Neil", "ct#1", "a=b", "ct&1", "a,b (1) O'Neil=x",
         "back\\slash", "${x}", "ends\\", "a\\'b"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_path_comes_back_as_it_was_typed(name: str) -> None:
    (quoted,) = to_hydra("train", [f"data.root={name}"])
    assert _as_typed(quoted) == f"data.root={name}"


@pytest.fixture
def gansfp(in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["gansfp", *words])
        cli.main()
        return capsys.readouterr().out

    return run


def test_the_command_of_a_job_makes_its_run_again(gansfp, in_folder: Path) -> None:
    gansfp("probe", "-m", "seed=3,4", "seconds=0", "study=odd name", "hydra/launcher=local",
           "hydra.launcher.dirty=true", f"paths.runs={in_folder / 'a, b'}")  # fmt: skip
    (run,) = (in_folder / "a, b" / "odd name").glob("probe-s4-*")
    printed = gansfp("reproduce", str(run)).splitlines()
    facts = json.loads((run / "run.json").read_text())
    assert f"# it composes to the run's own configuration ({facts['hash']})" in printed
    assert printed[-2] == f"cd {in_folder}"
    before = (run / "result.json").read_text()
    (run / "result.json").unlink()
    gansfp(*shlex.split(printed[-1])[1:])
    assert (run / "result.json").read_text() == before


def test_what_has_changed_since_is_said(gansfp) -> None:
    gansfp("probe", "seconds=0")
    (path,) = Path("runs/probe").glob("*/run.json")
    facts = json.loads(path.read_text())
    facts |= {"commit": {"revision": "0" * 40, "edited": []}, "hash": "deadbeef"}
    facts["versions"]["numpy"] = "1.0"
    path.write_text(json.dumps(facts))
    printed = gansfp("reproduce", str(path.parent))
    assert f"git checkout {'0' * 40}" in printed
    assert "# numpy was 1.0, here it is" in printed
    assert "it composes to another configuration now" in printed
