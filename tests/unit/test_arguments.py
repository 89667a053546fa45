"""The command line reaches Hydra as the user meant it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gansfp.arguments import to_hydra
from gansfp.errors import UserError

AWKWARD = [
    "/data/ct (1)", "a,b", "Zoë", "O'Neil", "ct#1", "a=b", "ct&1", 'say "hi"', "back\\slash",
    "ends\\", "q\\'q", "${oc.env:HOME}", "[x]", "{y}", "trail ", "a:b", "$x", "日本", "-dash",
    "1e3", "null.d", "true", "x\\${a}", "x\\\\${a}'${b}\\'", "a,b (1) O'Neil=x", "range(1,3)",
    "a,b'", "${a}${b}", "\\\\", "glob(*)",
]  # fmt: skip


def value_of(argument: str) -> object:
    key, _, _ = argument.partition("=")
    override = OverridesParser.create().parse_override(argument)
    assert override.key_or_group == key
    config = OmegaConf.create({"value": override.value()})
    return config.value  # resolves interpolations, as a composed config does


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("key", ["data.root", "truth", "source.path", "output"])
def test_a_path_is_taken_literally(name: str, key: str) -> None:
    (argument,) = to_hydra("train", [f"{key}={name}"])
    assert value_of(argument) == name


@pytest.mark.parametrize("name", AWKWARD)
def test_a_leading_path_is_its_keys_value(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if name.startswith(("/", "-")):
        name = f"{tmp_path}/x{name.strip('/')}"
    Path(name).mkdir(parents=True, exist_ok=True)
    argument, *_ = to_hydra("inspect", [name, "task=attribution"])
    assert argument.startswith("data.root=")
    assert value_of(argument) == name


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/zoë")
    assert value_of(to_hydra("train", ["data.root=~/ct"])[0]) == "/home/zoë/ct"
    assert value_of(to_hydra("train", ["~/ct"])[0]) == "/home/zoë/ct"


def test_quotes_that_the_shell_left_are_dropped() -> None:
    assert value_of(to_hydra("train", ["data.root='/data/my ct'"])[0]) == "/data/my ct"


def test_null_stays_null() -> None:
    assert to_hydra("train", ["data.root=null"]) == ["data.root=null"]


def test_multirun_moves_to_the_front_and_the_rest_keeps_its_order() -> None:
    words = ["experiment=a,b", "seed=0,1", "-m", "method.lr=1e-3"]
    assert to_hydra("train", words) == ["-m", "experiment=a,b", "seed=0,1", "method.lr=1e-3"]


def test_a_flag_keeps_its_value() -> None:
    assert to_hydra("train", ["--cfg", "job", "seed=1"]) == ["--cfg", "job", "seed=1"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--filter"], "no such flag"),
        (["seed=1", "somewhere"], "key=value"),
    ],
)
def test_other_words_are_refused(words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        to_hydra("train", words)


def test_score_takes_no_leading_path() -> None:
    with pytest.raises(UserError, match="key=value only"):
        to_hydra("score", ["/some/where"])


def test_the_users_own_configs_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANSFP_CONF", str(tmp_path))
    (argument,) = to_hydra("train", [])
    assert value_of(argument) == [f"file://{tmp_path}"]
    monkeypatch.setenv("GANSFP_CONF", str(tmp_path / "absent"))
    with pytest.raises(UserError, match="no such folder"):
        to_hydra("train", [])


def test_a_bank_is_written_out() -> None:
    assert to_hydra("forge", ["bank=8", "seed=1"]) == [
        "benchmark=bank", "benchmark.generators=8", "seed=1",
    ]  # fmt: skip
    assert to_hydra("forge", ["-m", "bank=8,16"])[2] == "benchmark.generators=8,16"
    with pytest.raises(UserError, match="bank=many: give a number"):
        to_hydra("forge", ["bank=many"])
