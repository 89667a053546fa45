"""`gansfp prefetch`: fetch the weights that runs will need, where there is a network."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from gansfp.features.prefetch import fetch, weights_asked

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    """Load the weights of every backbone of a configuration once.

    Args:
        config: `conf/prefetch.yaml`, composed and checked: a configuration of `gansfp train`.

    Raises:
        UserError: Some cannot be had.
    """
    config = OmegaConf.masked_copy(config, ["method"])
    asked = dict.fromkeys(weights_asked(OmegaConf.to_container(config, resolve=True)))
    for name, weights in asked:
        fetch(name, weights)
        log.info("%s, weights=%s: here", name, weights)
    if not asked:
        log.info("no weights are needed")
