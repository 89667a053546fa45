from __future__ import annotations

import re

import pytest
from forged import card_of, digest, steady
from omegaconf import OmegaConf

from gansfp.commands import forge
from gansfp.config import check
from gansfp.errors import UserError
from gansfp.forge import again


def test_a_card_forges_the_same_benchmark(config, tmp_path, caplog):
    config.seed, config.generator.steps = 3, 4
    forge.run(config)
    wanted, wanted_card = digest(config.output), steady(card_of(config.output))
    # Another composition, as the command has it without the first one's choices.
    config.again, config.output = config.output, str(tmp_path / "again")
    config.seed, config.generator.steps, config.source.path = 0, 40, "???"
    with caplog.at_level("INFO"):
        forge.run(config)
    assert digest(config.output) == wanted
    assert steady(card_of(config.output)) == wanted_card
    auc = wanted_card["generators"]["generator"]["leak"]["auc_nearest"]
    assert re.search(rf"AUC by nearest sample {auc}, in the card {auc} \[.*\]: inside", caplog.text)


def test_a_leak_outside_the_first_interval_is_named():
    def card(auc, images="same"):
        leak = {"auc_nearest": auc, "auc_interval": [0.6, 0.8]}
        return {"request": {"images": images}, "generators": {"g": {"leak": leak}}}

    (line,) = again.compare(card(0.7), card(0.61))
    assert line.endswith("0.7 [0.6, 0.8]: inside")
    other, line = again.compare(card(0.7), card(0.81, "others"))
    assert "not the card's" in other
    assert line.endswith("OUTSIDE")


def test_what_the_card_decides_cannot_be_given_beside_it(config, monkeypatch):
    card = {"request": {key: OmegaConf.to_container(config)[key] for key in again.DECIDED}}
    config.source.path = "/moved"

    def given(*words):
        hydra = OmegaConf.create({"overrides": {"task": list(words)}})
        monkeypatch.setattr(again.HydraConfig, "initialized", lambda: True)
        monkeypatch.setattr(again.HydraConfig, "get", lambda: hydra)

    given("source.path=/moved", "output=x", "trainer=gpu")
    assert again.recipe(config, card).source.path == "/moved"
    for word in ("generator.steps=7", "seed=1", "source=phantom", "benchmark.members=3"):
        given(word)
        with pytest.raises(UserError, match=re.escape(word)):
            again.recipe(config, card)


def test_the_command_asks_for_no_source_beside_a_card():
    config = OmegaConf.create({"command": "forge", "source": {"path": "???"}, "output": "x"})
    with pytest.raises(UserError, match=r"source\.path is not set"):
        check(config)
    config.again = "forged/null"
    check(config)


def test_without_a_card_it_says_so(tmp_path):
    with pytest.raises(UserError, match=r"again=.*no card\.json"):
        again.first_card(str(tmp_path))
