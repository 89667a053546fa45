"""White-box scores: formulas by hand, and tiny generators that know their images by heart."""

from __future__ import annotations

import lightning as L
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from scipy.ndimage import gaussian_filter

from gansfp.evaluation.ranking import auroc
from gansfp.forge.ddpm import DDPM
from gansfp.forge.gan.module import FastGAN
from gansfp.forge.networks import write_network
from gansfp.methods.whitebox.estimator import WhiteBoxEstimator

MEMBERS, OTHERS = 6, 24
TRUTH = np.repeat([1, 0], [MEMBERS, OTHERS])


def images(side):
    """Smooth random pictures; the first MEMBERS of them are trained on."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(MEMBERS + OTHERS, side, side)), (0, 2, 2))
    return np.clip(128 + 400 * smooth, 0, 255).astype(np.uint8)


def ddpm(**changes):
    torch.manual_seed(0)
    settings = {
        "steps": 300, "batch_size": 12, "learning_rate": 3e-3, "channels": (16, 32),
        "attention": (), "warmup_steps": 10, "sampling_steps": 4, "sample_batch_size": 4,
    }  # fmt: skip
    return DDPM(16, **(settings | changes))


def gan(**changes):
    torch.manual_seed(0)
    settings = {
        "steps": 200, "batch_size": 6, "latent": 8, "width": 8, "sample_batch_size": 4,
        "learning_rate": 2e-3, "augment": [], "redraw": 0.0, "ema_decay": 0.9,
    }  # fmt: skip
    return FastGAN(32, **(settings | changes))


def kept(module, pixels, folder):
    """Train a module on the members, and keep its network as the forge does."""
    if pixels is not None:
        module.train_on(pixels)
        L.Trainer(
            accelerator="cpu", max_steps=module.steps, max_epochs=1, default_root_dir=folder,
            logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, use_distributed_sampler=False,
        ).fit(module)  # fmt: skip
    kind = f"{type(module).__module__}.{type(module).__name__}"
    plain = {k: v for k, v in module.hparams.items() if k not in ("image_size", "seed")}
    node = {"_target_": kind, "image_size": None, "seed": None, **plain}
    write_network(folder / "networks" / "generator", module, OmegaConf.create(node))
    return str(folder / "networks" / "generator.safetensors")


@pytest.fixture(scope="module")
def known_by_heart(tmp_path_factory):
    """Paths of a DDPM and a GAN that know MEMBERS images by heart, and of two untrained ones."""
    made = {}
    for name, build, side in (("ddpm", ddpm, 16), ("gan", gan, 32)):
        folder = tmp_path_factory.mktemp(name)
        made[name] = kept(build(), images(side)[:MEMBERS], folder)
        made[f"untrained_{name}"] = kept(build(), None, folder / "untrained")
    return made


SCORES = [
    ("ddpm", "loss"), ("ddpm", "secmi"), ("ddpm", "pia"), ("ddpm", "pian"),
    ("gan", "discriminator"), ("gan", "inversion"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "score"), SCORES)
def test_the_ceiling_separates_members_of_a_generator_that_knows_them(known_by_heart, kind, score):
    pixels = images(16 if kind == "ddpm" else 32)
    found = WhiteBoxEstimator(known_by_heart[kind], score, steps=60).score_images(pixels)
    assert auroc(TRUTH, found) > 0.9
    blind = WhiteBoxEstimator(known_by_heart[f"untrained_{kind}"], score, steps=20)
    # 24 against 6 at chance: two standard errors are 0.27
    assert 0.22 < auroc(TRUTH, blind.score_images(pixels)) < 0.78
