"""Members of an ensemble: ordinary runs, composed from recipes."""

from __future__ import annotations

import hashlib
import itertools
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gansfp.arguments import quote
from gansfp.ensembles.composing import compose_run, own_hydra, without_hydra
from gansfp.runtime.run import Run, config_hash

if TYPE_CHECKING:
    from pathlib import Path

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
        config: Composed, with `hydra` in it.
    """

    words: tuple[str, ...]
    run: Run
    plain: bool
    config: DictConfig = field(repr=False)


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


def is_ensemble(config: DictConfig) -> bool:
    """Tell whether a configuration is that of an ensemble that runs members of its own."""
    method = config.get("method") or {}
    return bool(method.get("members")) and "rounds" in method


def members_of(
    config: DictConfig, labels: Path | None = None, nowhere: Path | None = None
) -> list[Member]:
    """Compose the members of a round, and find their run folders.

    Args:
        config: The ensemble's configuration: its splits and its study hold for the members.
        labels: The pseudo-labels of the round.
        nowhere: Where these are not written yet: see `compose_run`.

    Returns:
        In order; with `method.cross_fit` each as many times in a row as there are folds.

    Raises:
        UserError: A word is at fault.
    """
    method = config.method
    extra = shlex.split(method.overrides or "")
    if labels is not None:
        extra.append(f"data.pseudo_labels={quote(str(labels))}")
    first = method.replicas * int(config.seed)  # the seeds of two ensembles never meet
    composer = _Composer(config, extra, nowhere)
    planned: dict[str, Member] = {}
    recipes = write_out(method.members, method.backbones, method.grid)
    seeds = range(first, first + method.replicas)
    folds = range(config.data.folds) if method.get("cross_fit") else [None]
    for recipe, seed, fold in itertools.product(recipes, seeds, folds):
        member = composer.member(recipe, seed, fold)
        planned.setdefault(member.run.folder.name, member)
    return list(planned.values())


def pin_recipes(config: DictConfig, words: Sequence[str] | None = None) -> None:
    """Store what the recipes of an ensemble's members compose to now, as part of its hash.

    Their files, and what the command line says of the members alone (`networks.weights`), are
    nowhere else in the configuration. Each recipe, and each of its choices of the grid, is composed
    with the seed 0, so that all seeds of an ensemble are one variant.

    Args:
        config: Of whatever method; `method.recipes` is filled in where it is an ensemble's.
        words: The command line; None: as Hydra has it.

    Raises:
        UserError: A word is at fault.
    """
    from omegaconf import open_dict

    if not is_ensemble(config) or config.method.get("recipes") is not None:
        return
    method = config.method
    hydra = own_hydra()
    tail = [*passed_on(words), "seed=0", *shlex.split(method.overrides or "")]
    axes = write_out([""], method.backbones) + [
        Recipe((), (f"{key}={value}",))
        for key, values in (method.grid or {}).items()
        for value in values
    ]
    singles = list(dict.fromkeys([(), *(axis.chosen for axis in axes)]))
    hashes = [
        config_hash(without_hydra(compose_run(hydra, [*shlex.split(recipe), *chosen, *tail])[0]))
        for recipe in method.members
        for chosen in singles
    ]
    with open_dict(config):
        method.recipes = hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:16]


class _Composer:
    """Composes members, and leaves out the words that change nothing.

    A member that is a recipe as it is has the folder, and the name in a leaderboard, of that run.
    """

    def __init__(self, config: DictConfig, extra: Sequence[str], nowhere: Path | None) -> None:
        self._config = config
        self._extra = tuple(extra)
        self._nowhere = nowhere
        self._hydra = own_hydra()
        self._known: dict[tuple[str, ...], tuple[DictConfig, Run]] = {}

    def member(self, recipe: Recipe, seed: int, fold: int | None = None) -> Member:
        tail = (*passed_on(), f"seed={seed}", *self._extra)
        alone, _ = self._composed((*recipe.words, *tail))
        split = self._split(alone, fold)
        plain = (*recipe.words, *tail, *split)
        whole = (*recipe.words, *recipe.chosen, *tail, *split)
        recipes_own, run = self._composed(plain)
        composed, chosen = self._composed(whole)
        if chosen.folder == run.folder:
            return Member(plain, run, not split, recipes_own)
        return Member(whole, chosen, False, composed)

    def _split(self, alone: DictConfig, fold: int | None) -> tuple[str, ...]:
        """Name the splits in which a recipe differs from the ensemble, or from its fold of it."""
        ours = {key: self._config.data[key] for key in SPLIT_KEYS if key in self._config.data}
        if fold is not None:
            ours["fold"] = fold
        return tuple(
            f"data.{key}={'null' if value is None else value}"
            for key, value in ours.items()
            if value != alone.data.get(key)
        )

    def _composed(self, words: tuple[str, ...]) -> tuple[DictConfig, Run]:
        if words not in self._known:
            self._known[words] = compose_run(self._hydra, words, self._nowhere)
        return self._known[words]


def passed_on(words: Sequence[str] | None = None) -> list[str]:
    """List what the command line says of the members too: the data, the Trainer, the study, ...

    Args:
        words: The command line; None: as Hydra has it.
    """
    from hydra.core.hydra_config import HydraConfig

    if words is None:
        words = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return [
        word
        for word in words
        if not any(word.lstrip("+~").startswith((f"{k}=", f"{k}.", f"{k}@")) for k in OWN_KEYS)
    ]
