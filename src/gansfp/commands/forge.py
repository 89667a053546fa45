"""`gansfp forge`: train generators on real images, write a benchmark with known truth."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from gansfp import build
from gansfp.forge.card import leak_facts, member_facts
from gansfp.forge.seeds import derive_seed
from gansfp.forge.training import draw_samples, train_generator
from gansfp.forge.workspace import Workspace
from gansfp.runtime import settings
from gansfp.runtime.provenance import provenance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
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
        space.move_aside()
    elif space.is_finished:
        space.clean()
        log.info("forged before, skipped: %s", space.output)
        return
    with space.open():
        _forge(config, space, source, benchmark, plans)
    space.clean()
    log.info("forged %s", space.output)


def _forge(
    config: DictConfig,
    space: Workspace,
    source: RealImages,
    benchmark: ForgedBenchmark,
    plans: list[GeneratorPlan],
) -> None:
    started = time.monotonic()
    samples: dict[str, NDArray[np.uint8]] = {}
    generators: dict[str, Any] = {}
    for plan in plans:
        samples[plan.name], generators[plan.name] = _generate(config, space, source, plan)
    folder = space.empty_benchmark()
    written = benchmark.write(folder, source, samples, config.seed)
    card = {
        "task": benchmark.task,
        "size": list(source.pixels.shape[1:]),
        "seed": config.seed,
        **written,
        "generators": generators,
        "seconds_of_last_process": round(time.monotonic() - started, 1),
        "made_with": provenance(),
    }
    space.publish(card)


def _generate(
    config: DictConfig, space: Workspace, source: RealImages, plan: GeneratorPlan
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Train one generator, draw from it, and measure what it gives away."""
    seed = derive_seed(config.seed, "generator", plan.name) % 2**32
    folder = space.generator(plan.name)
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
    return images, {
        "seed": seed,
        **facts,
        "samples": len(images),
        "leak": leak,
        "members": member_facts(source, plan.rows),
    }


def _request(config: DictConfig, source: RealImages) -> dict[str, Any]:
    """What decides the files: not the device, not where they go."""
    chosen = OmegaConf.to_container(
        OmegaConf.masked_copy(config, ["source", "generator", "benchmark", "seed"]), resolve=True
    )
    if not isinstance(chosen, dict):
        raise TypeError("the config is not a mapping")
    return {**{str(key): value for key, value in chosen.items()}, "images": source.fingerprint}
