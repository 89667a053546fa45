"""Composes members as `gansfp train` would, in a Hydra of our own."""

from __future__ import annotations

from collections.abc import Sequence
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


def launcher_name() -> str:
    """Name the launcher that members go to; in a sweep, this process."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if not HydraConfig.initialized() or HydraConfig.get().mode == RunMode.MULTIRUN:
        return "basic"
    return str(HydraConfig.get().runtime.choices.get("hydra/launcher", "basic"))


def launcher_words() -> list[str]:
    """Take the launcher over from a command line without -m; a sweep has used it already."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    own = to_hydra("train", [])  # the user's own config folder
    if not HydraConfig.initialized():
        return own
    hydra = HydraConfig.get()
    given = [word for word in hydra.overrides.hydra if not word.startswith("hydra.mode=")]
    if hydra.mode == RunMode.MULTIRUN:
        given = [word for word in given if word.startswith("hydra.searchpath=")]
    return given if any(word.startswith("hydra.searchpath=") for word in given) else [*given, *own]


def compose_run(hydra: Hydra, words: Sequence[str]) -> tuple[DictConfig, Run]:
    """Compose a member: its configuration, and the folder that it writes."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import open_dict

    from gansfp.hydra_errors import reword

    try:
        config = hydra.compose_config(
            "train", [*launcher_words(), *words], RunMode.RUN, False, False
        )
    except Exception as error:
        worded = reword(error, "train", list(words))
        if worded is None:
            raise
        raise UserError(f"method.members: {worded}") from error
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        with open_dict(config):
            del config["hydra"]
        settings.name_experiment(config)
        return config, Run.of(config)
    finally:
        HydraConfig.instance().cfg = before
