"""docs/pitfalls.md names tests that exist; those of them that belong nowhere else."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import lightning as L
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from torch.utils.data import DataLoader

from gansfp import cli
from gansfp.arguments import to_hydra
from gansfp.callbacks.progress import Progress
from gansfp.config import check
from gansfp.methods.classifier.module import ClassifierModule

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "pitfalls.md").read_text("utf-8")


def test_each_of_the_thirty_has_a_test_that_exists() -> None:
    rows = [line for line in TABLE.splitlines() if re.match(r"\| \d", line)]
    assert [int(line.split("|")[1]) for line in rows] == list(range(1, 31))
    for line in rows:
        named = re.findall(r"`(tests/[^`:]+)::(\w+)`", line)
        assert named, line
        for path, name in named:
            assert f"def {name}(" in (ROOT / path).read_text("utf-8"), f"{path}::{name}"


def test_a_sweep_whose_jobs_would_start_it_again_is_refused(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gansfp", "train", "-m", "seed=0,1", f"data.root={in_folder}",
                                      "trainer=ddp", "trainer.accelerator=cpu"])  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    said = capsys.readouterr().err
    assert said.count("take trainer=ddp_spawn, or a launcher") == 2
    assert not list(in_folder.rglob("result.json"))


def test_the_documented_wandb_sweep_is_a_command_that_composes(tmp_path: Path) -> None:
    (text,) = re.findall(
        r"```yaml\n(# sweep.yaml.*?)```", (ROOT / "docs" / "cluster.md").read_text("utf-8"), re.S
    )
    sweep = yaml.safe_load(text)
    program, command, *words, arguments = sweep["command"]
    assert (program, command, arguments) == ("gansfp", "train", "${args_no_hyphens}")
    drawn = [
        f"{key}={given['values'][0] if 'values' in given else given['min']}"
        for key, given in sweep["parameters"].items()
    ]
    words = [word.replace("/data/imageclef", str(tmp_path)) for word in words]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("train", to_hydra("train", [*words, *drawn]))
    check(config)
    assert config.method.margin == sweep["parameters"]["method.margin"]["min"]
    assert sweep["metric"]["name"] in ("test/kappa", "test/accuracy")


class Line(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss = self.layer(batch).square().mean()
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_progress_in_a_file_is_a_few_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress(every_seconds=1000)
    assert not progress.live  # what pytest captures is no terminal
    trainer = L.Trainer(max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False,
                        callbacks=[progress], enable_model_summary=False,
                        default_root_dir=tmp_path)  # fmt: skip
    with caplog.at_level(logging.INFO, "gansfp"):
        trainer.fit(Line(), DataLoader(torch.ones(100, 1), batch_size=1))
    printed = capsys.readouterr()
    assert "\r" not in printed.out + printed.err
    lines = [r.message for r in caplog.records if r.name.startswith("gansfp.callbacks.progress")]
    assert len(lines) <= 3  # of 300 steps


def test_compiling_renames_no_weight() -> None:
    backbone = {"name": "tf_efficientnet_lite0", "weights": "none"}
    plain, compiled = (
        ClassifierModule("attribution", ["t1", "t2"], backbone, compile=on) for on in (False, True)
    )
    assert compiled.network._compiled_call_impl is not None
    assert list(compiled.state_dict()) == list(plain.state_dict())
