"""Networks that a forge kept give the benchmark's own samples again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from gansfp.commands import forge
from gansfp.errors import UserError
from gansfp.forge.bank import read_bank
from gansfp.forge.networks import NETWORKS, read_network
from gansfp.forge.seeds import derive_seed
from gansfp.runtime.files import read_json


def test_a_kept_network_draws_the_benchmarks_samples(config, tmp_path):
    config.benchmark = {
        "_target_": "gansfp.forge.benchmarks.bank.ShadowBank", "generators": 2, "generated": 8,
    }  # fmt: skip
    config.keep_networks = True
    forge.run(config)
    folder = Path(config.output)
    bank, card = read_bank(folder), read_json(folder / "card.json")
    for name in bank.names:
        module = read_network(folder / NETWORKS / f"{name}.safetensors")
        seed = derive_seed(card["generators"][name]["seed"], "samples")
        np.testing.assert_array_equal(module.sample(8, seed), bank.generated[name])
    with pytest.raises(UserError, match="keep_networks"):
        forge.run(OmegaConf.merge(config, {"keep_networks": False}))


def test_a_network_that_was_not_kept_is_named(config):
    with pytest.raises(UserError, match="keep_networks=true"):
        read_network(Path(config.output) / NETWORKS / "g001")
