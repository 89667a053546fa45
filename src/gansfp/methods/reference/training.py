"""Trains small generators inside the fit of a method."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import lightning as L

from gansfp.errors import UserError
from gansfp.forge.generator import GeneratorModule
from gansfp.forge.seeds import derive_seed

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)


def train_and_sample(
    make: Callable[..., GeneratorModule],
    images: NDArray[np.uint8],
    count: int,
    seed: int,
    accelerator: str = "auto",
    precision: str = "32-true",
) -> NDArray[np.uint8]:
    """Train a generator on some images and draw from it; nothing is written.

    Args:
        make: Builds it, from `image_size` and `seed`.
        images: Square, shape (n, H, H).
        count: Number of images to draw.
        seed: Of weights, batches and draws.
        accelerator: Of Lightning's Trainer.
        precision: Likewise.

    Returns:
        Shape (count, H, H).

    Raises:
        UserError: What was built is no generator, or the images are not square.
    """
    if images.shape[1] != images.shape[2]:
        raise UserError(f"method.generator: images are {images.shape[1:]}, generators draw squares")
    L.seed_everything(seed, workers=True, verbose=False)
    module = make(image_size=images.shape[1], seed=seed)
    if not isinstance(module, GeneratorModule):
        raise UserError(
            "method.generator: must derive from gansfp.forge.generator.GeneratorModule, such as "
            "generator@method.generator=gan"
        )
    module.train_on(images)
    trainer = L.Trainer(
        max_steps=module.steps,
        max_epochs=1,
        accelerator=accelerator,
        devices=1,
        precision=precision,  # type: ignore[arg-type]
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    module.check_trainer(trainer)
    log.info("reference generator: %d steps on %d images", module.steps, len(images))
    with warnings.catch_warnings():  # the average of the weights is in eval mode on purpose
        warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
        trainer.fit(module)
    if trainer.interrupted or trainer.received_sigterm or trainer.global_step == 0:
        raise KeyboardInterrupt  # Lightning ends a fit quietly on Ctrl-C
    module.to(trainer.strategy.root_device).eval()
    return module.sample(count, derive_seed(seed, "samples"))
