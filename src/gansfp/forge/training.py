"""Trains one generator and draws its images; either goes on where a kill stopped it."""

from __future__ import annotations

import io
import logging
import os
import shutil
import time
import warnings
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import torch

from gansfp.build import accepted, instantiate
from gansfp.errors import UserError
from gansfp.forge.generator import GeneratorModule
from gansfp.forge.seeds import derive_seed
from gansfp.runtime.checkpoints import last_checkpoint, resume_from
from gansfp.runtime.files import read_json, write_json
from gansfp.runtime.learned import make_trainer

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

DONE = "trained.json"
FORGED = "forged.json"
SAMPLES = "samples.npy"
BLOCKS = "blocks"


def build_generator(config: DictConfig, image_size: int, seed: int) -> GeneratorModule:
    """Build an untrained generator whose first weights are a function of the seed.

    Raises:
        UserError: The config names something that is no generator.
    """
    L.seed_everything(seed, workers=True, verbose=False)
    facts = {"image_size": image_size, "seed": seed}
    module = instantiate(config.generator, **accepted(config.generator, facts))
    if not isinstance(module, GeneratorModule):
        raise UserError(
            f"generator._target_={config.generator['_target_']}: a generator derives from "
            "gansfp.forge.generator.GeneratorModule"
        )
    return module


def train_generator(
    config: DictConfig, name: str, pixels: NDArray[np.uint8], seed: int, folder: Path
) -> tuple[GeneratorModule, L.Trainer, dict[str, Any]]:
    """Train a generator, resume its training, or read it back where it is trained.

    Args:
        config: The command's config.
        name: Of the generator, for messages.
        pixels: The images to train on, uint8, shape (n, H, W).
        seed: Of this generator.
        folder: Where its checkpoints are.

    Returns:
        The generator on its device, its Trainer, and facts for the card.
    """
    module = build_generator(config, pixels.shape[1], seed)
    module.train_on(pixels)
    trainer = make_trainer(
        _trainer_config(config, module.steps), folder, callbacks=config.callbacks
    )
    _refuse_started_processes(trainer, config.trainer)
    module.check_trainer(trainer)
    facts = read_json(folder / DONE)
    if facts is None:
        checkpoint = resume_from(folder)
        log.info(
            "%s: training on %d images, %d steps (%.0f epochs)%s",
            name, len(pixels), module.steps, module.plan(len(pixels)).epochs,
            f", going on from {checkpoint}" if checkpoint else "",
        )  # fmt: skip
        with warnings.catch_warnings():  # the average of the weights is in eval mode on purpose
            warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
            trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
        alone = trainer.world_size == 1
        # Spawned processes have gone, and left what they did in their last checkpoint.
        reached = trainer.global_step if alone else _read_back(module, folder)
        if reached != module.steps:
            raise KeyboardInterrupt  # Lightning ends a fit quietly on Ctrl-C; the forge ends too
        facts = _facts(module, len(pixels))
        if alone:
            trainer.save_checkpoint(last_checkpoint(folder))
        write_json(folder / DONE, facts)
    else:
        _read_back(module, folder)
    module.to(trainer.strategy.root_device).eval()
    return module, trainer, facts


def _trainer_config(config: DictConfig, steps: int) -> DictConfig:
    trainer: DictConfig = config.trainer.copy()
    trainer.max_steps, trainer.max_epochs = steps, 1
    return trainer


def _refuse_started_processes(trainer: L.Trainer, config: DictConfig) -> None:
    """Several processes must be spawned for each fit and end with it: the forge goes on alone."""
    if trainer.num_nodes != 1:
        raise UserError(f"trainer.num_nodes={trainer.num_nodes}: a forge works on one node")
    if trainer.world_size > 1 and config.get("strategy") != "ddp_spawn":
        raise UserError(
            f"trainer.strategy={config.get('strategy')}: a forge on several devices spawns their "
            "processes; set trainer=ddp_spawn, or trainer.devices=1"
        )


def _read_back(module: GeneratorModule, folder: Path) -> int:
    """Load the last checkpoint; returns its step."""
    path = last_checkpoint(folder)
    if not path.is_file():
        raise UserError("callbacks.resume: needed, several processes hand over by its checkpoint")
    state = torch.load(path, map_location="cpu", weights_only=True)
    module.load_state_dict(state["state_dict"])
    module.on_load_checkpoint(state)
    return int(state["global_step"])


def _facts(module: GeneratorModule, count: int) -> dict[str, Any]:
    return {
        "images": count,
        "steps": module.steps,
        "epochs": round(module.plan(count).epochs, 2),
        "parameters": sum(p.numel() for p in module.parameters() if p.requires_grad),
        "loss": round(module.last_loss, 6),
        "seconds": round(module.seconds_so_far(), 1),
    }


def draw_samples(
    module: GeneratorModule,
    precision: AbstractContextManager[Any],
    name: str,
    count: int,
    seed: int,
    folder: Path,
    forbidden: NDArray[np.uint8],
) -> tuple[NDArray[np.uint8], int]:
    """Draw images block by block; finished blocks are kept in files and not drawn again.

    Args:
        module: Trained, on its device.
        precision: What the sampling runs in (the Trainer's precision).
        name: Of the generator, for messages.
        count: Number of images.
        seed: Of this generator.
        folder: Where the blocks are kept.
        forbidden: Images of which no copy may come out, uint8, shape (n, H, W).

    Returns:
        Images, uint8, shape (count, H, W), and how many exact copies were thrown away.

    Raises:
        UserError: The generator gives hardly anything but copies.
    """
    known = {image.tobytes() for image in forbidden}
    sample_seed = derive_seed(seed, "samples")
    kept: list[NDArray[np.uint8]] = []
    copies, block, told = 0, 0, time.monotonic()
    with precision:
        while len(kept) < count:
            for image in _block(module, block, sample_seed, folder):
                if image.tobytes() in known:
                    copies += 1
                else:
                    kept.append(image)
            block += 1
            if copies > 10 * max(count, module.sample_batch_size):
                raise UserError(f"{name}: the generator copies its images; lower generator.steps")
            if time.monotonic() - told > 5 or len(kept) >= count:
                log.info("%s: %d of %d samples", name, min(len(kept), count), count)
                told = time.monotonic()
    return np.stack(kept[:count]), copies


def write_forged(folder: Path, images: NDArray[np.uint8], facts: dict[str, Any]) -> None:
    """Store what came out of a generator: images, shape (count, H, W), and facts for the card."""
    _save(folder / SAMPLES, images)
    write_json(folder / FORGED, facts)
    shutil.rmtree(folder / BLOCKS, ignore_errors=True)


def read_forged(folder: Path) -> tuple[NDArray[np.uint8], dict[str, Any]] | None:
    """Read what `write_forged` has stored; None where the generator is not finished."""
    facts = read_json(folder / FORGED)
    return None if facts is None else (np.load(folder / SAMPLES, mmap_mode="r"), facts)


def _block(module: GeneratorModule, block: int, seed: int, folder: Path) -> NDArray[np.uint8]:
    path = folder / BLOCKS / f"block_{block:05d}.npy"
    if path.is_file():
        stored: NDArray[np.uint8] = np.load(path)
        return stored
    images = module.sample_block(block, seed).cpu().numpy()
    _save(path, images)
    return images


def _save(path: Path, images: NDArray[np.uint8]) -> None:
    """Write an array in one atomic step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    np.save(buffer, images)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    partial.write_bytes(buffer.getvalue())
    partial.replace(path)
