"""The recipes of runs 1396 and 1696: the sheet against the config and what is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import nn

from gansfp.build import accepted, check_targets, instantiate
from gansfp.losses.contrastive import ContrastiveLoss
from gansfp.methods.base import BenchmarkModule, Estimator
from gansfp.methods.siamese.module import SiameseModule

ROOT = Path(__file__).parents[3]


def _compose(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.fixture(params=["1396", "1696"])
def sheet(request: pytest.FixtureRequest) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "tests/recipes" / f"{request.param}.yaml").read_text())


def test_config_holds_every_value_of_the_sheet(sheet: dict[str, Any]) -> None:
    cfg = _compose(f"experiment={sheet['experiment']}")
    assert cfg.published_run == sheet["run"]
    assert cfg.method.lr == sheet["optimiser"]["lr"]
    assert cfg.method.margin == sheet["loss"]["margin"]
    assert cfg.method.channels == sheet["layers"]["filters"]
    assert cfg.method.embedding == sheet["layers"]["dense"]
    assert cfg.method.inference == sheet["inference"]
    assert cfg.trainer.max_epochs == sheet["epochs"]
    assert cfg.data.sampling._target_ == "gansfp.data.pairs.ClassPairs"
    assert cfg.data.sampling.batch_size == sheet["batch"]
    assert sheet["positive_pairs"] == sheet["negative_pairs"] == sheet["batch"] // 2
    assert cfg.data.sampling.steps_per_epoch is None
    assert cfg.data.fold is None
    assert sheet["validation_split"] is None
    if "threshold" in sheet:
        assert cfg.decision._target_ == "gansfp.decisions.BestKappa"
        assert cfg.decision.in_sample is True


def test_built_method_holds_every_value_of_the_sheet(sheet: dict[str, Any]) -> None:
    cfg = _compose(f"experiment={sheet['experiment']}")
    facts = {"task": cfg.task, "image_size": sheet["input"]["size"], "classes": ["t1", "t2"]}
    module = instantiate(cfg.method, **accepted(cfg.method, facts))
    assert isinstance(module, SiameseModule)
    layers = sheet["layers"]
    convolutions = [m for m in module.network.features if isinstance(m, nn.Conv2d)]
    pools = [m for m in module.network.features if isinstance(m, nn.MaxPool2d)]
    assert [c.out_channels for c in convolutions] == layers["filters"]
    assert convolutions[0].in_channels == sheet["input"]["channels"]
    assert {c.kernel_size for c in convolutions} == {(layers["kernel"],) * 2}
    assert {c.padding for c in convolutions} == {(layers["padding"],) * 2}
    assert {p.kernel_size for p in pools} == {layers["pool"]}
    assert len(pools) == len(convolutions) == 4
    assert module.network.dense.in_features == layers["flatten"]
    assert module.network.dense.out_features == layers["dense"]
    assert isinstance(module.loss, ContrastiveLoss)
    assert module.loss.margin == sheet["loss"]["margin"]
    optimiser = module.configure_optimizers()
    assert type(optimiser) is getattr(torch.optim, sheet["optimiser"]["name"])
    assert optimiser.param_groups[0]["lr"] == sheet["optimiser"]["lr"]
    assert optimiser.param_groups[0]["weight_decay"] == 0
    assert len(optimiser.param_groups[0]["params"]) == len(list(module.network.parameters()))
    assert module.hparams["inference"] == sheet["inference"]


def test_siamese_brings_its_sampling_and_distance_none() -> None:
    siamese, distance = _compose("method=siamese"), _compose("method=distance")
    assert siamese.data.sampling._target_ == "gansfp.data.pairs.ClassPairs"
    assert distance.data.get("sampling") is None


@pytest.mark.parametrize(
    "path",
    [
        path
        for folder in ("beyond", "quickstart", "table2", "table3")
        for path in sorted((ROOT / "conf/experiment" / folder).glob("*.yaml"))
        if "siamese" in path.stem or "_target_" not in path.read_text()
    ],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_experiments_compose_into_what_can_be_built(path: Path) -> None:
    name = f"{path.parent.name}/{path.stem}"
    package, command = path.read_text().splitlines()[:2]
    assert package == "# @package _global_"
    assert command.startswith(f"# gansfp train experiment={name} ")
    bank = ["method.bank=somewhere"] if path.stem.startswith("shadow_") else []
    cfg = _compose(f"experiment={name}", *bank)
    assert cfg.task in cfg.data._target_
    check_targets(cfg.method)
    facts = {"task": cfg.task, "image_size": 64, "classes": ["t1", "t2"]}
    method = instantiate(cfg.method, **accepted(cfg.method, facts))
    assert isinstance(method, (Estimator, BenchmarkModule))


def test_backbone_of_a_representation_can_be_chosen() -> None:
    cfg = _compose(
        "experiment=beyond/nearest_features", "backbone@method.representation.backbone=lite1"
    )
    method = instantiate(cfg.method)
    assert method.representation.backbone.name == "tf_efficientnet_lite1"
    assert method.representation.backbone.weights == "lite"
