"""`gansfp forge`: train generators on real images, write a benchmark with known truth."""

from __future__ import annotations

import contextlib
import logging
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from gansfp import build
from gansfp.errors import UserError
from gansfp.forge.again import compare, first_card, recipe
from gansfp.forge.card import leak_facts, made_with, member_facts
from gansfp.forge.networks import NETWORKS, write_network
from gansfp.forge.seeds import derive_seed
from gansfp.forge.training import draw_samples, read_forged, train_generator, write_forged
from gansfp.forge.tries import earlier_tries, record_try
from gansfp.forge.workspace import CARD, Workspace
from gansfp.runtime import settings
from gansfp.runtime.claims import InUseError
from gansfp.runtime.files import read_json

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gansfp.data.sources.base import RealImages
    from gansfp.forge.benchmarks.base import ForgedBenchmark
    from gansfp.forge.kid import RealFeatures
    from gansfp.forge.plans import GeneratorPlan

log = logging.getLogger(__name__)


def run(config: DictConfig) -> None:
    """Forge a benchmark, or skip it where it is there already.

    Killed at any time and started again, it goes on from its own last checkpoint and its finished
    sample blocks, and ends with the same files.

    Args:
        config: `conf/forge.yaml`, composed and checked.
    """
    settings.prepare()
    build.trust(config.trust)
    first = first_card(config.again) if config.again else None
    config = recipe(config, first) if first else config
    build.check_targets(config)
    plain: RealImages = build.instantiate(config.source).read()
    benchmark: ForgedBenchmark = build.instantiate(config.benchmark)
    plans = benchmark.generators(plain, config.seed)
    space = Workspace(Path(config.output).expanduser(), _request(config, plain))
    if config.force:
        if config.worker is not None:
            raise UserError("force=true: moves the other workers' forge aside; leave one of them")
        space.move_aside()
    elif space.is_finished:
        record_try(space.output, read_json(space.output / CARD))  # a kill may have come before
        space.clean()
        log.info("forged before, skipped: %s", space.output)
        return
    space.begin()
    forge = _Forge(config, space, benchmark.prepare(plain, config.seed), benchmark, plans)
    for plan in plans:
        forge.generate(plan)
    forge.write()
    if first and space.is_finished:
        for line in compare(first, read_json(space.output / CARD)):
            log.info("again: %s", line)


@dataclass(frozen=True)
class _Forge:
    """The work of one process on a benchmark.

    Attributes:
        config: The command's config.
        space: Where it is done.
        source: The real images, prepared.
        benchmark: What is forged.
        plans: Its generators.
    """

    config: DictConfig
    space: Workspace
    source: RealImages
    benchmark: ForgedBenchmark
    plans: list[GeneratorPlan]

    def generate(self, plan: GeneratorPlan) -> None:
        """Train one generator, draw from it, and measure what it gives away.

        A finished one is left as it is; so is, for one of several workers, one that another makes.
        """
        folder = self.space.generator(plan.name)
        try:
            with self.space.claim(folder):
                # Another worker may have written the benchmark and cleaned up since we looked.
                if read_forged(folder) is None and not self.space.is_finished:
                    self._train_and_draw(plan, folder)
        except InUseError:
            if self.config.worker is None:
                raise
            log.info("%s: another worker is on it", plan.name)

    def write(self) -> None:
        """Write the files, once; of several workers, by the last."""
        if self.config.worker is None:
            self._write()
        elif missing := self._missing():
            log.info("left to other workers: %s", ", ".join(missing))
        else:
            with contextlib.suppress(InUseError):
                self._write()

    @cached_property
    def _features(self) -> RealFeatures | None:
        """Whose features the card's KID is measured in; None: it is not wanted."""
        if not self.config.card.kid:
            return None
        from gansfp.forge.kid import RealFeatures

        return RealFeatures(self.source.pixels, build.instantiate(self.config.card.backbone))

    def _train_and_draw(self, plan: GeneratorPlan, folder: Path) -> None:
        seed = derive_seed(self.config.seed, "generator", plan.name) % 2**32
        pixels = self.source.pixels
        module, trainer, facts = train_generator(
            self.config, plan.name, pixels[plan.rows], seed, folder
        )
        precision = trainer.precision_plugin.forward_context()
        images, copies = draw_samples(
            module, precision, plan.name, plan.count, seed, folder, pixels
        )
        leak = leak_facts(self.source, plan.rows, images, copies)
        log.info("%s: leak %s", plan.name, leak)
        facts = {"seed": seed, **facts, "samples": len(images), "leak": leak}
        if self._features is not None:
            facts["kid"] = self._features.kid_facts(plan.rows, images)
            log.info("%s: KID %s", plan.name, facts["kid"])
        if self.config.keep_networks:
            write_network(folder / NETWORKS / plan.name, module, self.config.generator)
        write_forged(folder, images, {**facts, "members": member_facts(self.source, plan.rows)})

    def _missing(self) -> list[str]:
        """Name the generators that are not finished; none where the benchmark is there."""
        if self.space.is_finished:
            return []
        folders = {plan.name: self.space.generator(plan.name) for plan in self.plans}
        return [name for name, folder in folders.items() if read_forged(folder) is None]

    def _write(self) -> None:
        space = self.space
        with space.claim(space.work):
            if not space.is_finished:
                space.publish(self._card(space.empty_benchmark()))
                record_try(space.output, read_json(space.output / CARD))
        space.clean()
        log.info("forged %s", space.output)

    def _card(self, folder: Path) -> dict[str, Any]:
        """Write the files into an empty folder; returns the card."""
        space = self.space
        forged = {plan.name: read_forged(space.generator(plan.name)) for plan in self.plans}
        done = {name: pair for name, pair in forged.items() if pair is not None}
        samples = {name: images for name, (images, _) in done.items()}
        written = self.benchmark.write(folder, self.source, samples, self.config.seed)
        if self.config.keep_networks:
            for plan in self.plans:
                kept = space.generator(plan.name) / NETWORKS
                shutil.copytree(kept, folder / NETWORKS, dirs_exist_ok=True)
        return {
            "task": self.benchmark.task,
            "size": list(self.source.pixels.shape[1:]),
            "seed": self.config.seed,
            **written,
            "generators": {name: facts for name, (_, facts) in done.items()},
            "tried": earlier_tries(space.output, self.benchmark.task, space.request["images"]),
            "made_with": made_with(),
        }


def _request(config: DictConfig, source: RealImages) -> dict[str, Any]:
    """What decides the files: not the device or the number of processes, not where they go."""
    chosen = OmegaConf.to_container(
        OmegaConf.masked_copy(config, ["source", "generator", "benchmark", "seed"]), resolve=True
    )
    if not isinstance(chosen, dict):
        raise TypeError("the config is not a mapping")
    if isinstance(chosen["source"], dict):
        chosen["source"].pop("workers", None)
    kept = {"keep_networks": True} if config.keep_networks else {}  # older cards lack the key
    request = {str(key): value for key, value in chosen.items()}
    return {**request, **kept, "images": source.fingerprint}
