"""Run folders: what names them, and what a kill, a force or an error leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from gansfp.errors import UserError
from gansfp.runtime.run import Run, config_hash, open_run


@pytest.fixture
def config(tmp_path: Path) -> DictConfig:
    return OmegaConf.create(
        {
            "task": "membership",
            "experiment_name": "table2/1696_siamese",
            "study": "default",
            "seed": 3,
            "force": False,
            "paths": {"runs": str(tmp_path / "runs")},
            "method": {"lr": 1e-4},
            "logger": {"csv": {}},
            "callbacks": {"progress": {"every_seconds": 10}},
        }
    )


def test_the_name_says_experiment_and_seed(config: DictConfig) -> None:
    folder = Run.of(config).folder
    assert folder.parent.name == "default"
    assert folder.name == f"table2-1696_siamese-s3-{config_hash(config)}"


@pytest.mark.parametrize("key", ["logger", "callbacks", "paths", "study", "force", "trust"])
def test_what_does_not_change_the_numbers_is_not_hashed(config: DictConfig, key: str) -> None:
    changed = config.copy()
    changed[key] = {"x": 1} if key != "force" else True
    assert config_hash(changed) == config_hash(config)


@pytest.mark.parametrize(("key", "value"), [("seed", 4), ("method.lr", 2e-4), ("task", "x")])
def test_what_changes_the_numbers_is(config: DictConfig, key: str, value: object) -> None:
    changed = config.copy()
    OmegaConf.update(changed, key, value)
    assert config_hash(changed) != config_hash(config)


def test_the_hash_does_not_depend_on_the_order_of_keys(config: DictConfig) -> None:
    turned = OmegaConf.create(dict(reversed(list(OmegaConf.to_container(config).items()))))
    assert config_hash(turned) == config_hash(config)


def test_a_block_that_ends_well_is_finished(config: DictConfig) -> None:
    with open_run(Run.of(config), config) as run:
        assert json.loads((run.folder / "status.json").read_text())["state"] == "running"
        run.finish({"kappa": 0.25})
    assert run.result == {"kappa": 0.25}
    assert json.loads((run.folder / "status.json").read_text())["state"] == "finished"
    assert run.config.method.lr == 1e-4
    facts = json.loads((run.folder / "run.json").read_text())
    assert facts["experiment"] == "table2/1696_siamese"
    assert facts["versions"]["torch"]


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (ValueError("no"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(1), "interrupted"),  # what Lightning makes of Ctrl-C
    ],
)
def test_a_block_that_dies_says_so(config: DictConfig, error: BaseException, state: str) -> None:
    run = Run.of(config)
    with pytest.raises(type(error)), open_run(run, config):
        raise error
    assert json.loads((run.folder / "status.json").read_text())["state"] == state
    assert not (run.folder / "claim.json").exists()
    assert run.result is None


def test_force_moves_the_older_run_aside(config: DictConfig) -> None:
    with open_run(Run.of(config), config) as run:
        run.finish({"kappa": 1.0})
    config.force = True
    with open_run(Run.of(config), config) as again:
        assert again.result is None
    (aside,) = [path for path in run.folder.parent.iterdir() if ".old-" in path.name]
    assert json.loads((aside / "result.json").read_text()) == {"kappa": 1.0}


def test_a_place_that_cannot_be_written_is_named(config: DictConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config.paths.runs = str(tmp_path / "file")
    with (
        pytest.raises(UserError, match=r"cannot be written .*paths.runs=FOLDER"),
        open_run(Run.of(config), config),
    ):
        pass


def test_a_read_only_place_is_named(config: DictConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")  # root may write anywhere: say it for it

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(UserError, match="Permission denied"), open_run(Run.of(config), config):
        pass


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not a run folder"):
        _ = Run(tmp_path).config
