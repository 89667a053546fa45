"""`gansfp attack` end to end on a bank made from arrays, and with networks on a forged one."""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from banks import write_bank
from omegaconf import OmegaConf

from gansfp import cli
from gansfp.forge.bank import read_bank
from gansfp.forge.ddpm import DDPM
from gansfp.forge.networks import write_network
from gansfp.forge.seeds import derive_seed
from gansfp.shadows import drawing


def attack(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["gansfp", "attack", *words])
    cli.main()


def made(folder, patients, generators):
    rng = np.random.default_rng(0)
    contrast = rng.uniform(0.2, 1.0, (patients, 1, 1))
    real = np.clip(128 + contrast * rng.normal(0, 60, (patients, 16, 16)), 0, 255).astype(np.uint8)
    write_bank(folder, real, [f"p{k}" for k in range(patients)], generators=generators)
    return folder


@pytest.fixture
def bank(tmp_path):
    return made(tmp_path / "bank", 40, 6)


def test_a_bank_is_attacked(bank, in_folder, monkeypatch):
    attack(monkeypatch, str(bank), "audits=2", "output=out")
    results = pd.read_csv("out/results.csv").set_index(["attack", "metric"])
    assert len(results) == 8 * 4
    assert (results["generators"] == 6).all()
    rows = results.loc[["reference", "lira_online", "rmia_offline", "learned"]]
    assert (rows.xs("auroc", level="metric")["value"] > 0.8).all()
    generators = pd.read_csv("out/generators.csv")
    of_lira = generators[generators["attack"] == "lira_online"]["auroc"]
    assert results.loc[("lira_online", "auroc"), "value"] == pytest.approx(of_lira.mean(), abs=1e-5)
    assert set(pd.read_csv("out/patients.csv")["group"]) == {f"p{k}" for k in range(40)}
    assert len(pd.read_csv("out/null_audits.csv")) == 12
    assert json.loads((in_folder / "out/attack.json").read_text())["samples"] == 30
    before = {p.name: p.read_bytes() for p in (in_folder / "out").glob("*.csv")}
    attack(monkeypatch, str(bank), "audits=2", "output=out")
    assert before == {p.name: p.read_bytes() for p in (in_folder / "out").glob("*.csv")}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["attacks=[nearest]"], "exposure=reference: must be one of attacks"),
        (["labelled=1"], "labelled=1: a share"),
        (["ceilings.enabled=true"], "ceilings need a bank forged with"),
        (["ceilings.factor=1"], "must be at least 2"),
    ],
)
def test_mistakes_take_one_line(bank, in_folder, monkeypatch, capsys, words, said):
    with pytest.raises(SystemExit):
        attack(monkeypatch, str(bank), "output=out", "audits=1", *words)
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert line.startswith("gansfp: ")
    assert said in line


def test_ceilings_go_on_where_they_were_stopped(in_folder, monkeypatch):
    bank = made(in_folder / "bank", 16, 4)
    torch.manual_seed(0)
    options = {"channels": [8, 16], "attention": [], "sampling_steps": 2, "sample_batch_size": 16}
    module = DDPM(16, **options)
    node = OmegaConf.create(
        {"_target_": "gansfp.forge.ddpm.DDPM", "image_size": None, "seed": None, **options}
    )
    names = read_bank(bank).names
    for name in names:
        write_network(bank / "networks" / name, module, node)
    words = [str(bank), "audits=1", "output=out", "ceilings.enabled=true", "ceilings.factor=2",
             "ceilings.device=cpu", "attacks=[nearest,reference]"]  # fmt: skip
    original, drawn = drawing._draw, []
    monkeypatch.setattr(drawing, "EVERY_SECONDS", 0.0)

    def dies(module, count, seed, start):
        if len(drawn) == 5:
            drawn.append(None)
            raise RuntimeError("stopped")
        drawn.append((seed, start, count))
        return original(module, count, seed, start)

    monkeypatch.setattr(drawing, "_draw", dies)
    with pytest.raises(RuntimeError, match="stopped"):
        attack(monkeypatch, *words)
    attack(monkeypatch, *words)
    # 60 samples of each of 4 generators in blocks of 16, none of them drawn twice.
    assert [start for _, start, _ in filter(None, drawn)] == [0, 16, 32, 48] * 4
    first = np.load("out/x2/g001.npz")["best"]
    images = module.sample(60, derive_seed(0, "ceiling", "g001")).reshape(60, 1, -1) / 255
    real = read_bank(bank).real.reshape(1, 16, -1) / 255
    nearest = np.sort(np.linalg.norm(images - real, axis=2), axis=0)[:5].T
    np.testing.assert_allclose(first, nearest, rtol=1e-5)
    found = pd.read_csv("out/ceilings.csv")
    assert set(found["attack"]) == {
        "loss", "secmi", "pia", "pian", "nearest_x2", "reference_x2", "all_labels",
        "all_labels_cv",
    }  # fmt: skip
    shares = pd.read_csv("out/shares.csv").set_index("attack")
    generators = pd.read_csv("out/generators.csv").pivot(index="generator", columns="attack")
    area = generators["auroc"].mean()
    expected = (area["nearest"] - 0.5) / (area["nearest_x2"] - 0.5)
    assert shares.loc["nearest", "share"] == pytest.approx(expected, rel=1e-4)
