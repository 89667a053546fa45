"""The recipes of runs 1287 and 1425: the sheet against the config and what is built from it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch.utils.data import DataLoader

from gansfp.build import accepted, instantiate
from gansfp.callbacks.keep_best import KeepBest
from gansfp.evaluation.published import published_run
from gansfp.methods.classifier.module import ClassifierModule

ROOT = Path(__file__).parents[3]


def composed(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", overrides=list(overrides))


@pytest.fixture(params=["1287", "1425"])
def sheet(request: pytest.FixtureRequest) -> dict[str, Any]:
    return yaml.safe_load((ROOT / "tests/recipes" / f"{request.param}.yaml").read_text())


def test_config_holds_every_value_of_the_sheet(sheet: dict[str, Any]) -> None:
    cfg = composed(f"experiment={sheet['experiment']}")
    assert cfg.published_run == sheet["run"]
    assert sheet["published"] == published_run(sheet["run"]).printed
    assert sheet["backbone"]["network"] in cfg.method.backbone.name
    assert cfg.method.backbone.weights == sheet["backbone"]["weights"]
    assert cfg.method.lr == sheet["optimiser"]["lr"]
    assert cfg.method.label_smoothing == sheet["loss"]["label_smoothing"]
    assert cfg.method.schedule == sheet["schedule"]
    assert cfg.method.keep == sheet["validation"]["keep"]
    assert cfg.trainer.max_epochs == sheet["epochs"]
    assert cfg.data.sampling._target_ == "gansfp.data.pairs.Images"
    assert cfg.data.sampling.batch_size == sheet["batch"]
    assert cfg.data.sampling.role == (None if len(sheet["train_on"]) == 2 else "real")
    assert cfg.data.sampling.real_class == cfg.method.real_class == (sheet["outputs"] == 6)
    assert cfg.data.augment == sheet["augmentation"]
    share = 1.0 if cfg.data.fold == "all" else 1 / cfg.data.folds
    assert share == sheet["validation"]["share"]
    assert cfg.data.holdout == "candidates"
    assert cfg.decision._target_ == "gansfp.decisions.ArgMax"


def test_built_method_holds_every_value_of_the_sheet(sheet: dict[str, Any]) -> None:
    cfg = composed(f"experiment={sheet['experiment']}")
    classes = [f"t{k}" for k in range(1, 6)]
    module = instantiate(cfg.method, **accepted(cfg.method, {"task": cfg.task, "classes": classes}))
    assert isinstance(module, ClassifierModule)
    assert module.network.preprocess.size == sheet["backbone"]["size"]
    assert module.network.head.in_features == sheet["backbone"]["features"]
    assert module.network.head.out_features == sheet["outputs"]
    assert module.network.dropout.p == 0
    assert all(parameter.requires_grad for parameter in module.parameters())
    (callback,) = module.own_callbacks()
    assert isinstance(callback, KeepBest)
    assert callback.monitor == "val/accuracy"
    module._trainer = SimpleNamespace(
        datamodule=SimpleNamespace(train_dataloader=lambda: range(5)),
        limit_train_batches=1.0, accumulate_grad_batches=1, max_epochs=10, max_steps=-1,
        state=SimpleNamespace(fn=None, stage=None),
    )  # fmt: skip
    built = module.configure_optimizers()
    optimiser = built["optimizer"]
    assert type(optimiser) is getattr(torch.optim, sheet["optimiser"]["name"])
    group = optimiser.param_groups[0]
    assert group["weight_decay"] == sheet["optimiser"]["weight_decay"]
    assert len(group["params"]) == len(list(module.parameters()))
    if sheet["schedule"] == "one_cycle":
        assert isinstance(built["lr_scheduler"]["scheduler"], torch.optim.lr_scheduler.OneCycleLR)
        assert group["max_lr"] == sheet["optimiser"]["lr"]
        assert built["lr_scheduler"]["scheduler"].total_steps == 50
    else:
        assert "lr_scheduler" not in built
        assert group["lr"] == sheet["optimiser"]["lr"]
    images = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8)
    assert module.eval()(images).shape == (2, sheet["outputs"])


def test_a_fit_begins_with_the_pretrained_weights_and_a_resumed_one_reads_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gansfp.features import backbones

    cfg = composed("method=classifier", "task=attribution", "method.keep=last")
    wanted = backbones.build_model("tf_efficientnet_lite0", "lite").conv_stem.weight
    read: list[str] = []
    build = backbones.build_model

    def counted(name: str, weights: str, *rest: Any) -> Any:
        read.extend([weights] if weights != "none" else [])
        return build(name, weights, *rest)

    monkeypatch.setattr(backbones, "build_model", counted)
    begun: list[torch.Tensor] = []

    class Begin(L.Callback):
        def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            begun.append(pl_module.network.backbone.conv_stem.weight.detach().clone())

    def fit(steps: int, checkpoint: Path | None) -> L.Trainer:
        module = instantiate(cfg.method, task="attribution", classes=["t1", "t2"])
        module.configure_optimizers = lambda: torch.optim.SGD(module.parameters(), 0.1)
        images = {"image": torch.zeros(2, 32, 32, dtype=torch.uint8), "label": torch.tensor([0, 1])}
        trainer = L.Trainer(max_steps=steps, accelerator="cpu", logger=False, callbacks=[Begin()],
                            enable_checkpointing=False, enable_progress_bar=False,
                            enable_model_summary=False)  # fmt: skip
        loader = DataLoader([images] * 2, batch_size=None)
        trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
        return trainer

    fit(1, None).save_checkpoint(tmp_path / "last.ckpt")
    assert torch.equal(begun[0], wanted)
    assert read == ["lite"]
    fit(2, tmp_path / "last.ckpt")
    assert read == ["lite"]
    assert not torch.equal(begun[1], wanted)
