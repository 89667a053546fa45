"""The console script as a person meets it: help, errors in one line, nothing heavy at the start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gansfp import cli, config
from gansfp.commands import train
from gansfp.help import DETAILS, SUMMARY

HEAVY = ["hydra", "torch", "lightning", "pandas", "numpy", "scipy", "sklearn",
         "torchmetrics", "timm", "PIL"]  # fmt: skip


def gansfp(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the console script in this process; give its exit status."""
    monkeypatch.setattr(sys, "argv", ["gansfp", *words])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_folder: Path):
    (in_folder / "x").mkdir()

    def run(*words: str) -> str:
        assert gansfp(*words, monkeypatch=monkeypatch) == cli.USAGE_ERROR
        said = capsys.readouterr()
        assert said.out == ""
        lines = said.err.strip().splitlines()
        assert len(lines) == 1, said.err
        assert "+" not in lines[0].split("=")[0]
        return lines[0]

    return run


def loaded_by(*words: str) -> set[str]:
    """Run the console script in a fresh process; name the heavy modules that it imported."""
    code = (
        "import sys\n"
        f"sys.argv = ['gansfp', *{list(words)!r}]\n"
        "from gansfp.cli import main\n"
        "main()\n"
        f"sys.stderr.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [(), ("--help",), ("train", "--help"), ("forge", "-h")])
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    assert loaded_by(*words) == set()


def test_printing_a_configuration_imports_hydra_alone() -> None:
    assert loaded_by("train", "--cfg", "job") == {"hydra"}


def test_score_imports_hydra_and_numpy_alone(tmp_path: Path) -> None:
    truth, submission = tmp_path / "truth.csv", tmp_path / "run.csv"
    truth.write_text("a,1\nb,0\nc,1\n")
    submission.write_text("a,1\nb,0\nc,0\n")
    words = ("score", "task=membership", f"truth={truth}", f"submission={submission}")
    assert loaded_by(*words) == {"hydra", "numpy"}


@pytest.mark.parametrize("command", SUMMARY)
def test_every_command_has_a_module_a_config_and_a_help(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (cli.config_folder() / f"{command}.yaml").is_file()
    assert (Path(cli.__file__).parent / "commands" / f"{command}.py").is_file()
    assert gansfp(command, "--help", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == DETAILS[command]


def test_an_unknown_command(fails) -> None:
    assert "did you mean train?" in fails("trian")


def test_data_that_is_not_given(fails) -> None:
    assert "data.root is not set: data.root=PATH" in fails("train")


def test_a_misspelt_key(fails) -> None:
    assert "did you mean data.root?" in fails("train", "data.rot=x")


def test_a_misspelt_key_with_a_plus(fails) -> None:
    said = fails("train", "data.root=x", "+metod=3")
    assert "metod" in said
    assert "did you mean method?" in said


def test_a_misspelt_nested_key_with_a_plus(fails) -> None:
    said = fails("train", "data.root=x", "+method.lrr=3")
    assert "method.lrr: unknown key; did you mean lr?" in said


def test_a_misspelt_option(fails) -> None:
    assert "did you mean siamese?" in fails("train", "method=siamesse")


def test_a_misspelt_group(fails) -> None:
    assert "did you mean method?" in fails("train", "metod=siamese")


def test_a_misspelt_experiment(fails) -> None:
    said = fails("train", "experiment=table2/1696_siames", "data.root=x")
    assert "did you mean 1696_siamese?" in said


def test_a_value_of_the_wrong_type(fails) -> None:
    said = fails("train", "data.root=x", "seed=abc")
    assert "seed" in said
    assert "abc" in said


def test_a_value_that_cannot_be_read(fails) -> None:
    said = fails("train", "study=a,[b")
    assert "study=a,[b" in said
    assert "quotes" in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["+seed=3"], "seed: is there already; write seed=VALUE, once and without a +"),
        (["experiment=beyond/nearest_ncc", "+experiment=beyond/nearest_pixels"],
         "experiment: is there already; write experiment=VALUE, once and without a +"),
        (["~metod"], "metod: unknown key; did you mean method?"),
        (["~data.rot"], "data.rot: unknown key; did you mean data.root?"),
        # The keys of the method that was chosen, not of the one by default.
        (["method=distance", "method.lr=1"], "method.lr: unknown key (gansfp train --cfg job"),
        (["method=distance", "method.k_pol=1"], "did you mean method.k_pool?"),
        (["method=null"], "method=null: a config group takes the name of an option"),
        (["=3"], "=3: a config group takes the name of an option"),
        (["study='a"], "study='a: cannot be read; put the value in quotes"),
        (["study=a}"], "study=a}: cannot be read; put the value in quotes"),
    ],
)  # fmt: skip
def test_other_slips_are_worded(fails, words: list[str], says: str) -> None:
    assert says in fails("train", "data.root=x", *words)


def test_a_root_that_does_not_exist(fails) -> None:
    assert "/no/such/place" in fails("train", "data.root=/no/such/place")


def test_a_missing_mandatory_key(fails) -> None:
    said = fails("score", "task=membership", "truth=x.csv")
    assert "submission is not set: submission=..." in said


def test_an_empty_sweep_is_an_error(fails) -> None:
    assert "has no job" in fails("train", "-m", "experiment=glob(nothing/*)", "data.root=x")


NAMES = ["~/ct", "/data/ct (1)", "a,b", "Zoë", "O'Neil", "ct#1", "a=b", "ct&1", "a,b (1) O'Neil=x"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_in_a_sweep_is_one_value(
    name: str, in_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(config, "_require", lambda *_, **__: None)
    monkeypatch.setattr(train, "run", lambda given: seen.append(given.data.root))
    words = ["train", "-m", f"data.root={name}", "seed=0,1"]
    cli.run_command("train", words[1:], ["gansfp", *words])
    assert seen == [str(Path(name).expanduser())] * 2
