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
from gansfp.forge.tries import earlier_tries, record_try
from gansfp.forge.workspace import CARD, Workspace
from gansfp.runtime import settings
from gansfp.runtime.claims import InUseError
from gansfp.runtime.files import read_json
from gansfp.runtime.provenance import provenance

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
    source = benchmark.prepare(plain, config.seed)
    features = _features(config, source)
    for plan in plans:
        _generate(config, space, source, plan, features)
    if config.worker is None:
        _write(config, space, source, benchmark, plans)
    else:
        _write_if_last(config, space, source, benchmark, plans)


def _features(config: DictConfig, source: RealImages) -> RealFeatures | None:
    """Whose features the card's KID is measured in; None: it is not wanted."""
    if not config.card.kid:
        return None
    from gansfp.forge.kid import RealFeatures

    return RealFeatures(source.pixels, build.instantiate(config.card.backbone))


def _generate(
    config: DictConfig,
    space: Workspace,
    source: RealImages,
    plan: GeneratorPlan,
    features: RealFeatures | None,
) -> None:
    """Train one generator, draw from it, and measure what it gives away.

    A finished one is left as it is; so is, for one of several workers, one that another makes.
    """
    folder = space.generator(plan.name)
    try:
        with space.claim(folder):
            if read_forged(folder) is None:
                _train_and_draw(config, source, plan, folder, features)
    except InUseError:
        if config.worker is None:
            raise
        log.info("%s: another worker is on it", plan.name)


def _train_and_draw(
    config: DictConfig,
    source: RealImages,
    plan: GeneratorPlan,
    folder: Path,
    features: RealFeatures | None,
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
    if features is not None:
        facts["kid"] = features.kid_facts(plan.rows, images)
        log.info("%s: KID %s", plan.name, facts["kid"])
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
                    "tried": earlier_tries(space.output, benchmark.task, space.request["images"]),
                    "made_with": provenance(),
                }
            )
            record_try(space.output, read_json(space.output / CARD))
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
