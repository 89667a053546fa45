"""`gansfp forge generator=gan_debug`, as the command line composes it."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
import yaml

from gansfp import cli
from gansfp.data.benchmark import load_benchmark
from gansfp.forge.gan.module import FastGAN
from gansfp.forge.generator import GeneratorModule


class Killed(BaseException):
    pass


def forge(monkeypatch, patients, output):
    words = ["forge", f"source.path={patients}", "source.resize=32", "generator=gan_debug",
             "generator.steps=12", "trainer=cpu", "trainer.enable_progress_bar=false",
             "callbacks.progress=null",
             "callbacks.resume.every_n_steps=5", "callbacks.resume.every_seconds=0",
             "benchmark.generated_train=12", "benchmark.generated_test=8",
             f"output={output}"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["gansfp", *words])
    cli.main()


def digest(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*.png")
    }


def test_killed_in_training_it_forges_the_same(monkeypatch, patients, in_folder):
    forge(monkeypatch, patients, "whole")
    with monkeypatch.context() as patch:
        original = GeneratorModule.on_train_batch_start

        def late(self, batch, batch_idx):
            if batch["step"] == 8:
                raise Killed
            return original(self, batch, batch_idx)

        patch.setattr(GeneratorModule, "on_train_batch_start", late)
        with pytest.raises(Killed):
            forge(patch, patients, "killed")
    assert (in_folder / "killed.partial/generators/generator/checkpoints/last.ckpt").is_file()
    forge(monkeypatch, patients, "killed")
    assert digest("killed") == digest("whole")
    facts = json.loads(Path("whole/card.json").read_text())["generators"]["generator"]
    assert facts["steps"] == 12
    assert 0 < facts["loss"] < 3
    assert len(load_benchmark("membership", root="whole").rows(role="generated")) == 20


def test_the_shipped_values_are_the_defaults_of_the_class():
    shipped = yaml.safe_load((cli.config_folder() / "generator/gan.yaml").read_text())
    assert shipped.pop("_target_") == "gansfp.forge.gan.module.FastGAN"
    assert shipped.pop("image_size") is None
    assert shipped.pop("seed") is None
    hyperparameters = dict(FastGAN(32).hparams)
    assert shipped == {key: hyperparameters[key] for key in shipped}
    assert shipped.keys() == hyperparameters.keys() - {"image_size", "seed"}
