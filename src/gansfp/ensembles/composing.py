"""Composes members as `gansfp train` would, in a Hydra of our own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gansfp.arguments import to_hydra
from gansfp.cli import config_folder
from gansfp.errors import UserError
from gansfp.runtime import settings
from gansfp.runtime.run import Run

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from omegaconf import DictConfig


def own_hydra() -> Hydra:
    """Make a Hydra of our own: a job of a cluster has none, and the running one is busy."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path

    search_path = create_config_search_path(str(config_folder()))
    return Hydra("gansfp", ConfigLoaderImpl(search_path))


def search_path_words() -> list[str]:
    """Name the user's own config folder, as the command line does."""
    from hydra.core.hydra_config import HydraConfig

    if HydraConfig.initialized():
        given = HydraConfig.get().overrides.hydra
        found = [word for word in given if word.startswith("hydra.searchpath=")]
        if found:
            return found
    return to_hydra("train", [])


def compose_run(
    hydra: Hydra, words: Sequence[str], nowhere: Path | None = None
) -> tuple[DictConfig, Run]:
    """Compose a member.

    Args:
        hydra: Our own.
        words: What follows `gansfp train`.
        nowhere: Stands for the study where the pseudo-labels are not written yet: what they say is
            part of a run's name.

    Returns:
        Its configuration with `hydra` in it, and the folder that it writes.

    Raises:
        UserError: A word is at fault.
    """
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from gansfp.ensembles.members import pin_recipes
    from gansfp.hydra_errors import reword

    try:
        whole = hydra.compose_config(
            "train", [*search_path_words(), *words], RunMode.RUN, False, False
        )
    except Exception as error:
        worded = reword(error, "train", list(words))
        if worded is None:
            raise
        raise UserError(f"method.members: {worded}") from error
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(whole)
    try:
        settings.name_experiment(whole)
        pin_recipes(whole)
        task = without_hydra(whole)
        if nowhere is None:
            return whole, Run.of(task)
        task.data.pseudo_labels = None
        return whole, Run(nowhere / Run.of(task).folder.name)
    finally:
        HydraConfig.instance().cfg = before


def without_hydra(whole: DictConfig) -> DictConfig:
    """Give the configuration of the command alone."""
    from omegaconf import OmegaConf

    return OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
