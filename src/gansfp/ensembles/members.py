"""Members of an ensemble: ordinary runs, composed from recipes."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gansfp.ensembles.composing import compose_run, own_hydra
from gansfp.runtime.run import Run

if TYPE_CHECKING:
    from omegaconf import DictConfig

# What an ensemble's own command line says of itself and not of its members.
OWN_KEYS = (
    "experiment", "sweep", "method", "force", "seed", "published_run", "experiment_name",
    "objective", "data.pseudo_labels",
)  # fmt: skip
SPLIT_KEYS = ("folds", "fold", "holdout", "sequester", "split_seed")
"""Members share the splits of the ensemble, so that their tables speak of the same images."""


@dataclass(frozen=True)
class Member:
    """One member.

    Attributes:
        words: What follows `gansfp train`, as Hydra reads it.
        run: Its folder.
        plain: It is the recipe as it is, which may be run for its own sake too.
    """

    words: tuple[str, ...]
    run: Run
    plain: bool


@dataclass(frozen=True)
class Recipe:
    """What a member is to be.

    Attributes:
        words: A recipe: `experiment=NAME key=value ...`.
        chosen: Its place in the grid.
    """

    words: tuple[str, ...]
    chosen: tuple[str, ...] = ()


def write_out(
    members: Sequence[str],
    backbones: Sequence[str] | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
) -> list[Recipe]:
    """Write out the grid: each member with each backbone and each choice of values.

    Args:
        members: `key=value` words of each, as one string.
        backbones: Files of `conf/backbone`.
        grid: Values by key.
    """
    axes = [[f"{key}={value}" for value in values] for key, values in (grid or {}).items()]
    if backbones:
        axes.insert(0, [f"backbone@method.backbone={name}" for name in backbones])
    return [
        Recipe(tuple(shlex.split(words)), chosen)
        for words in members
        for chosen in itertools.product(*axes)
    ]


def plan(
    config: DictConfig, recipes: Sequence[Recipe], seeds: Sequence[int], extra: Sequence[str]
) -> list[Member]:
    """Compose every member, and find its run folder.

    Args:
        config: The ensemble's configuration: its splits and its study hold for the members.
        recipes: What they are to be.
        seeds: Each is there once a seed.
        extra: Further words for all, after those of the ensemble's own command line.

    Raises:
        UserError: A word is at fault.
    """
    composer = _Composer(config, extra)
    planned: dict[str, Member] = {}
    for recipe, seed in itertools.product(recipes, seeds):
        member = composer.member(recipe, seed)
        planned.setdefault(member.run.folder.name, member)
    return list(planned.values())


class _Composer:
    """Composes members, and leaves out the words that change nothing.

    A member that is a recipe as it is has the folder, and the name in a leaderboard, of that run.
    """

    def __init__(self, config: DictConfig, extra: Sequence[str]) -> None:
        self._config = config
        self._extra = tuple(extra)
        self._hydra = own_hydra()
        self._known: dict[tuple[str, ...], tuple[DictConfig, Run]] = {}

    def member(self, recipe: Recipe, seed: int) -> Member:
        tail = (*passed_on(), f"seed={seed}", *self._extra)
        alone, _ = self._composed((*recipe.words, *tail))
        split = self._split(alone)
        plain = (*recipe.words, *tail, *split)
        whole = (*recipe.words, *recipe.chosen, *tail, *split)
        _, run = self._composed(plain)
        _, chosen = self._composed(whole)
        same = chosen.folder == run.folder
        return Member(plain if same else whole, chosen, same and not split)

    def _split(self, alone: DictConfig) -> tuple[str, ...]:
        """Name the splits in which a recipe differs from the ensemble."""
        ours, theirs = self._config.data, alone.data
        return tuple(
            f"data.{key}={'null' if ours[key] is None else ours[key]}"
            for key in SPLIT_KEYS
            if key in ours and ours[key] != theirs.get(key)
        )

    def _composed(self, words: tuple[str, ...]) -> tuple[DictConfig, Run]:
        if words not in self._known:
            self._known[words] = compose_run(self._hydra, words)
        return self._known[words]


def passed_on() -> list[str]:
    """List what the command line says of the members too: the data, the Trainer, the study, ..."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return []
    return [
        word
        for word in HydraConfig.get().overrides.task
        if not any(word.lstrip("+~").startswith((f"{k}=", f"{k}.", f"{k}@")) for k in OWN_KEYS)
    ]
