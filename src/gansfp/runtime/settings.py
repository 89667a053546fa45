"""What is set or refused before a command touches data."""

from __future__ import annotations

import logging
import os
import warnings

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from gansfp.errors import UserError


def prepare() -> None:
    """Quieten what the libraries say at every start and nobody can act on."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*`srun` command is available.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*You're resuming from a checkpoint that ended before the epoch ended.*",
        ".*The `LightningDataModule.*` hook.*",
        ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",
        ".*GPU available but not used.*",
        ".*smaller than the logging interval.*",
        ".*Total length of `list` across ranks is zero.*",  # no fold is held out
        ".*Experiment logs directory .* exists and is not empty.*",
    ):
        warnings.filterwarnings("ignore", message=message)


def refuse_ddp_sweep(config: DictConfig) -> None:
    """Refuse a sweep whose jobs would start further processes by script.

    Each such process would run the whole sweep again.

    Raises:
        UserError: Names the cures.
    """
    several = config.trainer.get("devices") not in (1, "1", None) or config.trainer.num_nodes > 1
    if (
        HydraConfig.initialized()
        and HydraConfig.get().mode == RunMode.MULTIRUN
        and HydraConfig.get().runtime.choices.get("hydra/launcher") == "basic"
        and several
        and "spawn" not in str(config.trainer.strategy)
    ):
        raise UserError(
            f"trainer.devices={config.trainer.devices} in a sweep (-m): take trainer=ddp_spawn, "
            "or a launcher that gives each job processes of its own (hydra/launcher=local or slurm)"
        )


def in_child_process() -> bool:
    """Tell whether Lightning or srun started this process as a further rank of a fit."""
    ranks = ("LOCAL_RANK", "NODE_RANK", "RANK", "SLURM_PROCID")
    return any(os.environ.get(name, "0") != "0" for name in ranks)


def name_experiment(config: DictConfig) -> None:
    """Fill `experiment_name` in: the recipe, or else task and method as chosen."""
    if config.experiment_name is not None or not HydraConfig.initialized():
        return
    choices = HydraConfig.get().runtime.choices
    config.experiment_name = choices.get("experiment") or f"{config.task}-{choices.get('method')}"


# Overrides that place or name a run, and do not make it another variant.
PLACING = ("experiment", "sweep", "seed", "study", "paths", "logger", "callbacks", "force", "trust",
           "hydra", "data.root", "data.train_dir", "data.test_dir", "data.cache_dir",
           "truth")  # fmt: skip


def changes() -> list[str]:
    """List what the command line changed in a recipe, as it was typed."""
    if not HydraConfig.initialized():
        return []
    given = HydraConfig.get().overrides.task
    return [
        word
        for word in given
        if not any(word.lstrip("+").startswith((f"{key}=", f"{key}.")) for key in PLACING)
    ]
