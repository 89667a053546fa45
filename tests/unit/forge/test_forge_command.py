from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from forged import card_of, digest, steady
from omegaconf import OmegaConf
from PIL import Image
from torch import nn

from gansfp.commands import forge
from gansfp.data.benchmark import load_benchmark
from gansfp.errors import UserError
from gansfp.features.backbones import Backbone, BackboneSpec
from gansfp.forge import training
from gansfp.forge.bank import read_bank
from gansfp.forge.benchmarks.base import ForgedBenchmark
from gansfp.forge.workspace import Workspace
from gansfp.runtime.claims import Claim


def labels_of(folder):
    with (Path(folder) / "test/labels.csv").open() as stream:
        return dict(list(csv.reader(stream))[1:])


def pixels(path):
    return np.asarray(Image.open(path).convert("L"))


def test_membership_truth_is_who_was_trained_on(config, patients):
    forge.run(config)
    folder = Path(config.output)
    card, labels = card_of(folder), labels_of(folder)
    members = {entry["name"] for entry in card["generators"]["generator"]["members"]}
    origin = card["real"]
    for file, name in origin.items():
        assert np.array_equal(pixels(folder / file), pixels(patients / name))
        truth = labels.get(Path(file).name, "1" if "real_used" in file else "0")
        assert (name in members) == (truth == "1")
    assert len(set(origin.values())) == len(origin) == 24
    with (patients / "groups.csv").open() as stream:
        group = dict(list(csv.reader(stream))[1:])
    used = {group[name] for name in members}
    unused = {group[name] for name in origin.values() if name not in members}
    assert not used & unused
    facts = card["generators"]["generator"]
    assert facts["steps"] == 12
    assert facts["epochs"] == pytest.approx(12 * 4 / len(members), abs=0.01)
    assert 0 <= facts["leak"]["auc_nearest"] <= 1
    assert not folder.with_name("forged.partial").exists()


def test_a_forged_membership_benchmark_loads(config):
    forge.run(config)
    benchmark = load_benchmark("membership", root=config.output)
    assert len(benchmark.rows(split="train", role="generated")) == 12
    assert len(benchmark.rows(split="test", role="generated")) == 8
    assert benchmark.has_groups


def test_attribution_subsets_share_no_patient(config, patients):
    config.benchmark = {
        "_target_": "gansfp.forge.benchmarks.attribution.AttributionBenchmark",
        "subsets": 3,
        "generated_train": 5,
        "generated_test": 4,
    }
    config.generator.steps = 4
    forge.run(config)
    benchmark = load_benchmark("attribution", root=config.output)
    assert benchmark.classes == ("t1", "t2", "t3")
    groups = [
        set(benchmark.groups(benchmark.rows(role="real", label=c))) for c in benchmark.classes
    ]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 16
    labels = labels_of(config.output)
    assert sorted(labels.values()) == ["t1"] * 4 + ["t2"] * 4 + ["t3"] * 4
    assert list(labels.values()) != sorted(labels.values())
    seeds = {facts["seed"] for facts in card_of(config.output)["generators"].values()}
    assert len(seeds) == 3


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["training", "trained", "sampling", "writing"])
def test_a_killed_forge_ends_with_the_same_files(config, monkeypatch, tmp_path, moment):
    forge.run(config)
    wanted, wanted_card = digest(config.output), steady(card_of(config.output))
    config.output = str(tmp_path / "second")

    with monkeypatch.context() as patch:
        _kill_at(moment, patch)
        with pytest.raises(Killed):
            forge.run(config)
    assert not Path(config.output).exists()
    forge.run(config)
    assert digest(config.output) == wanted
    assert steady(card_of(config.output)) == wanted_card


def _kill_at(moment, patch):
    def die(*args, **kwargs):
        raise Killed

    if moment == "training":
        original = training.GeneratorModule.on_train_batch_start

        def late(self, batch, batch_idx):
            if batch["step"] == 8:
                raise Killed
            return original(self, batch, batch_idx)

        patch.setattr(training.GeneratorModule, "on_train_batch_start", late)
    elif moment == "trained":
        patch.setattr(training, "_facts", die)
    elif moment == "sampling":
        original_block = training._block
        patch.setattr(
            training, "_block", lambda m, k, *rest: die() if k == 2 else original_block(m, k, *rest)
        )
    else:
        patch.setattr("gansfp.forge.benchmarks.base.BenchmarkFiles.groups", die)
    target = "gansfp.forge.benchmarks.membership.MembershipBenchmark"
    assert issubclass(forge.build.resolve(target), ForgedBenchmark)


def test_finished_is_skipped_other_refused_and_force_moves_aside(config):
    forge.run(config)
    before = digest(config.output)
    stamp = (Path(config.output) / "card.json").stat().st_mtime_ns
    forge.run(config)
    assert (Path(config.output) / "card.json").stat().st_mtime_ns == stamp
    config.generator.steps = 3
    with pytest.raises(UserError, match=r"forged with generator\.steps=12, now it is 3"):
        forge.run(config)
    config.force = True
    forge.run(config)
    assert digest(config.output) != before
    (aside,) = Path(config.output).parent.glob("forged.old-*")
    assert digest(aside) == before


def test_a_strange_folder_is_refused(config):
    Path(config.output).mkdir()
    (Path(config.output) / "thesis.txt").touch()
    with pytest.raises(UserError, match="not forged"):
        forge.run(config)


def test_exact_copies_are_redrawn_and_counted(config, tmp_path):
    module = training.build_generator(config, 16, seed=5)
    seed = training.derive_seed(5, "samples")
    plain = module.sample(20, seed)
    from contextlib import nullcontext

    images, copies = training.draw_samples(
        module, nullcontext(), "g", 20, 5, tmp_path, forbidden=plain[[3, 7]]
    )
    assert copies == 2
    wanted = np.delete(module.sample(22, seed), [3, 7], axis=0)
    np.testing.assert_array_equal(images, wanted)


BANK = {
    "_target_": "gansfp.forge.benchmarks.bank.ShadowBank",
    "generators": 4,
    "generated": 6,
}


@pytest.fixture
def bank(config):
    config.benchmark = BANK
    config.generator.steps = 4
    return config


def test_a_killed_bank_ends_with_the_same_files(bank, monkeypatch, tmp_path):
    forge.run(bank)
    wanted, wanted_card = digest(bank.output), steady(card_of(bank.output))
    bank.output = str(tmp_path / "second")
    original, trained = forge.train_generator, []

    def die_at_third(config, name, *rest):
        return original(config, name, *rest) if name < "g003" else _raise()

    def watched(config, name, *rest):
        trained.append(name)
        return original(config, name, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(forge, "train_generator", die_at_third)
        with pytest.raises(Killed):
            forge.run(bank)
    monkeypatch.setattr(forge, "train_generator", watched)
    forge.run(bank)
    assert trained == ["g003", "g004"]
    assert digest(bank.output) == wanted
    assert steady(card_of(bank.output)) == wanted_card


def _raise():
    raise Killed


def test_two_workers_make_the_bank_of_one(bank, tmp_path):
    forge.run(bank)
    wanted, wanted_card = digest(bank.output), steady(card_of(bank.output))
    bank.output = str(tmp_path / "shared")
    taken = tmp_path / "shared.partial/generators/g002"
    taken.mkdir(parents=True)
    bank.worker = 0
    with Claim(taken):  # somebody else is on it
        forge.run(bank)
    assert not Path(bank.output).exists()
    bank.worker = 1
    forge.run(bank)
    assert digest(bank.output) == wanted
    assert steady(card_of(bank.output)) == wanted_card
    assert read_bank(bank.output).membership.sum() == 2 * 24


def test_a_worker_that_comes_as_the_others_finish_trains_nothing(bank, monkeypatch):
    begin, original, trained = Workspace.begin, forge.train_generator, []

    def watched(config, name, *rest):
        trained.append((config.worker, name))
        return original(config, name, *rest)

    def late(space):
        monkeypatch.setattr(Workspace, "begin", begin)
        forge.run(OmegaConf.merge(bank, {"worker": None}))  # between our look and our beginning
        begin(space)

    monkeypatch.setattr(forge, "train_generator", watched)
    monkeypatch.setattr(Workspace, "begin", late)
    bank.worker = 1
    forge.run(bank)
    assert trained == [(None, f"g{number:03d}") for number in (1, 2, 3, 4)]
    assert not Path(bank.output).with_name("forged.partial").exists()


def test_the_number_of_reading_processes_is_no_part_of_the_request(config):
    config.source = {
        "_target_": "gansfp.data.sources.phantom.PhantomSource",
        "patients": 16, "image_size": 64, "workers": 1,
    }  # fmt: skip
    config.generator.steps = 1
    forge.run(config)
    made = card_of(config.output)["made_with"]
    config.source.workers = 2
    forge.run(config)  # skipped, not refused
    assert card_of(config.output)["made_with"] == made


def test_the_card_lists_earlier_tries_once_each(config, tmp_path):
    forge.run(config)
    forge.run(config)  # skipped
    first = card_of(config.output)
    assert first["tried"] == []
    (tmp_path / "tries.jsonl").unlink()  # as if killed between card and line
    forge.run(config)
    config.output, config.generator.steps = str(tmp_path / "second"), 5
    forge.run(config)
    (line,) = card_of(config.output)["tried"]
    assert line["output"] == "forged"
    assert line["leak"]["generator"] == first["generators"]["generator"]["leak"]
    assert len((tmp_path / "tries.jsonl").read_text().splitlines()) == 2


def test_canaries_are_trained_on_and_kid_is_measured(config, monkeypatch):
    seen = {}
    original = forge.train_generator

    def watched(config, name, pixels, *rest):
        seen[name] = pixels.copy()
        return original(config, name, pixels, *rest)

    monkeypatch.setattr(forge, "train_generator", watched)
    monkeypatch.setattr(BackboneSpec, "load", lambda spec: one_layer())
    config.benchmark.canaries = 2
    config.card = {"kid": True, "backbone": {"_target_": f"{BackboneSpec.__module__}.BackboneSpec"}}
    forge.run(config)
    card = card_of(config.output)
    facts = card["generators"]["generator"]
    assert facts["kid"]["backbone"] == "one_layer"
    assert facts["kid"]["members"] != facts["kid"]["others"]
    trained = {image.tobytes() for image in seen["generator"]}
    for entry in card["canaries"]:
        painted = pixels(Path(config.output) / entry["file"]).tobytes()
        assert (painted in trained) == (entry["role"] == "member")


def one_layer():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    half = (0.5, 0.5, 0.5)
    return Backbone(net.eval(), "one_layer", "test", 4, 16, half, half, torch.device("cpu"))
