"""`gansfp forge`: train generators on real images, write a benchmark with known truth."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from gansfp import build
from gansfp.errors import UserError
from gansfp.forge.card import leak_facts, member_facts
from gansfp.forge.seeds import derive_seed
from gansfp.forge.training import draw_samples, read_forged, train_generator, write_forged
from gansfp.forge.workspace import Workspace
from gansfp.runtime import settings
from gansfp.runtime.claims import InUseError
from gansfp.runtime.provenance import provenance

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gansfp.data.sources.base import RealImages
    from gansfp.forge.benchmark import ForgedBenchmark
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
    build.check_targets(config)
    source: RealImages = build.instantiate(config.source).read()
    benchmark: ForgedBenchmark = build.instantiate(config.benchmark)
    plans = benchmark.generators(source, config.seed)
    space = Workspace(Path(config.output).expanduser(), _request(config, source))
    if config.force:
        if config.worker is not None:
            raise UserError("force=true: moves the other workers' forge aside; leave one of them")
        space.move_aside()
    elif space.is_finished:
        space.clean()
        log.info("forged before, skipped: %s", space.output)
        return
    space.begin()
    for plan in plans:
        _generate(config, space, source, plan)
    if config.worker is None:
        _write(config, space, source, benchmark, plans)
    else:
        _write_if_last(config, space, source, benchmark, plans)


def _generate(
    config: DictConfig, space: Workspace, source: RealImages, plan: GeneratorPlan
) -> None:
    """Train one generator, draw from it, and measure what it gives away.

    A finished one is left as it is; so is, for one of several workers, one that another makes.
    """
    folder = space.generator(plan.name)
    try:
        with space.claim(folder):
            if read_forged(folder) is None:
                _train_and_draw(config, source, plan, folder)
    except InUseError:
        if config.worker is None:
            raise
        log.info("%s: another worker is on it", plan.name)


def _train_and_draw(
    config: DictConfig, source: RealImages, plan: GeneratorPlan, folder: Path
) -> None:
    seed = derive_seed(config.seed, "generator", plan.name) % 2**32
    module, trainer, facts = train_generator(
        config, plan.name, source.pixels[plan.rows], seed, folder
    )
    images, copies = draw_samples(
        module,
        trainer.precision_plugin.forward_context(),
        plan.name,
        plan.count,
        seed,
        folder,
        source.pixels,
    )
    leak = leak_facts(source, plan.rows, images, copies)
    log.info("%s: leak %s", plan.name, leak)
    facts = {"seed": seed, **facts, "samples": len(images), "leak": leak}
    write_forged(folder, images, {**facts, "members": member_facts(source, plan.rows)})


def _write_if_last(
    config: DictConfig,
    space: Workspace,
    source: RealImages,
    benchmark: ForgedBenchmark,
    plans: list[GeneratorPlan],
) -> None:
    """Write the files, unless another worker still trains or writes."""
    missing = [plan.name for plan in plans if read_forged(space.generator(plan.name)) is None]
    if missing and not space.is_finished:
        log.info("left to other workers: %s", ", ".join(missing))
        return
    with contextlib.suppress(InUseError):
        _write(config, space, source, benchmark, plans)


def _write(
    config: DictConfig,
    space: Workspace,
    source: RealImages,
    benchmark: ForgedBenchmark,
    plans: list[GeneratorPlan],
) -> None:
    """Write the files from finished generators, once."""
    with space.claim(space.work):
        if not space.is_finished:
            forged = {plan.name: read_forged(space.generator(plan.name)) for plan in plans}
            done = {name: pair for name, pair in forged.items() if pair is not None}
            samples = {name: images for name, (images, _) in done.items()}
            written = benchmark.write(space.empty_benchmark(), source, samples, config.seed)
            space.publish(
                {
                    "task": benchmark.task,
                    "size": list(source.pixels.shape[1:]),
                    "seed": config.seed,
                    **written,
                    "generators": {name: facts for name, (_, facts) in done.items()},
                    "made_with": provenance(),
                }
            )
    space.clean()
    log.info("forged %s", space.output)


def _request(config: DictConfig, source: RealImages) -> dict[str, Any]:
    """What decides the files: not the device, not where they go."""
    chosen = OmegaConf.to_container(
        OmegaConf.masked_copy(config, ["source", "generator", "benchmark", "seed"]), resolve=True
    )
    if not isinstance(chosen, dict):
        raise TypeError("the config is not a mapping")
    return {**{str(key): value for key, value in chosen.items()}, "images": source.fingerprint}
