"""Members of an ensemble: ordinary runs, composed from recipes, run where they are missing."""

from __future__ import annotations

import itertools
import logging
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gansfp.arguments import to_hydra
from gansfp.cli import config_folder
from gansfp.errors import UserError
from gansfp.jobs import Jobs, SweepFailed
from gansfp.runtime import settings
from gansfp.runtime.claims import claim_stands
from gansfp.runtime.run import Run

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

# What an ensemble's own command line says of itself and not of its members.
OWN_KEYS = (
    "experiment", "sweep", "method", "force", "seed", "published_run", "experiment_name",
    "objective", "data.pseudo_labels",
)  # fmt: skip
POLL_SECONDS = 10.0
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
        self._hydra = _hydra()
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
            self._known[words] = _run_of(self._hydra, words)
        return self._known[words]


def launch(members: Sequence[Member]) -> None:
    """Run the members that are not finished, by the launcher of the command line.

    In a sweep an ensemble is a job itself; its members then run in it, one after another. A member
    that another process is at work on is waited for.

    Raises:
        UserError: A member failed.
    """
    missing = _unfinished(members)
    log.info("%d members, %d of them to run", len(members), len(missing))
    while missing:
        free = [member for member in missing if not claim_stands(member.run.folder)]
        if free:
            _launch(free)
        else:
            log.info("waiting for %s, which is run elsewhere", missing[0].run.folder)
            time.sleep(POLL_SECONDS)
        missing = _unfinished(missing)


def _launch(members: Sequence[Member]) -> None:
    jobs = Jobs("train", list(sys.argv), sweep=True)
    with _same_log_handlers():
        _launcher(_hydra(), jobs).launch([list(member.words) for member in members], 0)
    failures: SweepFailed | None = None
    try:
        jobs.conclude()
    except SweepFailed as failed:
        failures = failed
    left = [m.run.folder for m in _unfinished(members) if not claim_stands(m.run.folder)]
    if left:
        said = failures or f"{left[0]}: no result"
        raise UserError(f"members failed; the same command goes on with them\n{said}") from failures


def _unfinished(members: Sequence[Member]) -> list[Member]:
    return [member for member in members if member.run.result is None]


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


def _launcher_words() -> list[str]:
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


def _launcher(hydra: Hydra, jobs: Jobs) -> Any:
    from hydra._internal.callbacks import Callbacks
    from hydra.core.plugins import Plugins
    from hydra.types import HydraContext, RunMode

    sweep = hydra.compose_config("train", _launcher_words(), RunMode.MULTIRUN, False, False)
    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(sweep))
    return Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=jobs.run, config=sweep
    )


def _run_of(hydra: Hydra, words: Sequence[str]) -> tuple[DictConfig, Run]:
    """Compose a member: its configuration, and the folder that it writes."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import open_dict

    from gansfp.hydra_errors import reword

    try:
        config = hydra.compose_config(
            "train", [*_launcher_words(), *words], RunMode.RUN, False, False
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


def _hydra() -> Hydra:
    """Make a Hydra of our own: a job of a cluster has none, and the running one is busy."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path

    search_path = create_config_search_path(str(config_folder()))
    return Hydra("gansfp", ConfigLoaderImpl(search_path))


@contextmanager
def _same_log_handlers() -> Iterator[None]:
    """Put the handlers of the log back, which Hydra sets anew for each job."""
    root = logging.getLogger()
    before = list(root.handlers)
    try:
        yield
    finally:
        root.handlers[:] = before
