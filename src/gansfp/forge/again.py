"""A benchmark forged again from its card."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gansfp.data.embedded import resolve
from gansfp.errors import UserError
from gansfp.forge.workspace import CARD
from gansfp.runtime.files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

DECIDED = ("source", "generator", "benchmark", "seed")
"""Parts of the config that a card decides."""

MOVABLE = ("source.path", "source.groups", "source.root", "source.workers")
"""Keys of these parts that may be given beside a card: where the same images lie now."""


def first_card(place: str) -> dict[str, Any]:
    """Read the card of a benchmark.

    Args:
        place: Its folder, its card.json, or `embedded:<task>/<benchmark>`.

    Raises:
        UserError: There is no card.
    """
    path = Path(str(resolve(place))).expanduser()
    path = path if path.suffix == ".json" else path / CARD
    card = read_json(path)
    if not isinstance(card, dict) or not isinstance(card.get("request"), dict):
        raise UserError(f"again={place}: no card.json of a forged benchmark there")
    return card


def recipe(config: DictConfig, card: Mapping[str, Any]) -> DictConfig:
    """Take what a card decides from the card, the rest from the config.

    Args:
        config: `conf/forge.yaml`, composed.
        card: A benchmark's card.

    Raises:
        UserError: The command line also gives something that the card decides.
    """
    given = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    moved = []
    for word in given:
        key = word.lstrip("+~").partition("=")[0]
        if key in MOVABLE:
            moved.append(key)
        elif key.partition(".")[0].partition("@")[0] in DECIDED:
            raise UserError(f"{word}: the card of again= decides this; leave one of the two out")
    rest = OmegaConf.masked_copy(config, [str(key) for key in config if key not in DECIDED])
    merged = OmegaConf.merge(rest, {key: card["request"][key] for key in DECIDED})
    for key in moved:
        OmegaConf.update(merged, key, OmegaConf.select(config, key), force_add=True)
    if not isinstance(merged, DictConfig):
        raise TypeError("the config is not a mapping")
    return merged


def compare(first: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """Say of each generator how the second leak compares with the first.

    Args:
        first: The card that was followed.
        again: The card that came of it.

    Returns:
        A line a generator: both AUCs, and whether the second lies in the interval of the first, or
        that the images differ, which explains everything.
    """
    lines = []
    if first["request"]["images"] != again["request"]["images"]:
        lines.append("the real images are not the card's, bit for bit")
    for name, facts in first["generators"].items():
        then, now = facts["leak"], again["generators"][name]["leak"]
        if then["auc_nearest"] is None:
            continue
        line = f"{name}: AUC by nearest sample {now['auc_nearest']}, in the card"
        low, high = then.get("auc_interval") or (None, None)
        if low is None:
            lines.append(f"{line} {then['auc_nearest']}")
        else:
            inside = "inside" if low <= now["auc_nearest"] <= high else "OUTSIDE"
            lines.append(f"{line} {then['auc_nearest']} [{low}, {high}]: {inside}")
    return lines
