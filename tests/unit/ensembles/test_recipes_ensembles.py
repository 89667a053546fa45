"""Runs 1426, 1782 and 1871: each sheet against all members, composed at full size."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from gansfp.cli import config_folder
from gansfp.ensembles.members import members_of
from gansfp.evaluation.published import published_run

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(params=["1426", "1782", "1871"])
def sheet(request: pytest.FixtureRequest) -> dict[str, Any]:
    return yaml.safe_load((RECIPES / f"{request.param}.yaml").read_text())


def test_every_member_composes_with_the_values_of_the_sheet(sheet: dict[str, Any]) -> None:
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        config = compose("train", [f"experiment={sheet['experiment']}", "seed=1"])
    assert config.published_run == sheet["run"]
    assert sheet["published"] == published_run(sheet["run"]).printed  # type: ignore[union-attr]
    method = config.method
    assert (method.combine, method.drop_worst, method.bar) == (
        "vote", sheet["drop_worst"], sheet["bar"],
    )  # fmt: skip
    assert method.rounds == sheet["rounds"]
    assert sheet["agreement"] in (None, method.agreement)
    assert config.data.sequester == sheet["sequestered"]
    found = members_of(config)
    assert len({member.run.folder for member in found}) == len(found) == sheet["members"]
    made = {
        (
            member.config.method.backbone.name,
            member.config.method.lr,
            member.config.data.sampling.batch_size,
            member.config.seed,
        )
        for member in found
    }
    seeds = range(sheet["seeds"], 2 * sheet["seeds"])  # the second ensemble's
    wanted = itertools.product(sheet["networks"], sheet["lr"], sheet["batch"], seeds)
    assert made == {(f"tf_{name}.in1k", *rest) for name, *rest in wanted}
    for member in found:
        cfg = member.config
        assert cfg.experiment_name == sheet["member"]
        assert (cfg.method.real_class, cfg.data.sampling.real_class) == (True, True)
        assert (cfg.method.backbone.weights, cfg.method.backbone.size) == ("imagenet", None)
        assert cfg.trainer.max_epochs == 10
        assert cfg.method.keep == sheet["validation"]["keep"]
        assert cfg.data.sequester == sheet["sequestered"]
        held_out = 0.0 if cfg.data.fold is None else 1 / cfg.data.folds
        assert held_out == sheet["validation"]["share"]
