"""A FastGAN-class GAN as a LightningModule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gansfp.errors import UserError
from gansfp.forge.ema import EMA
from gansfp.forge.gan.augment import CHANCES, DiffAugment
from gansfp.forge.gan.discriminator import Discriminator, hinge_loss
from gansfp.forge.gan.network import Generator
from gansfp.forge.generator import GeneratorModule, from_grey, to_grey
from gansfp.forge.gradients import give_gradients, take_gradients
from gansfp.forge.seeds import torch_generator


class Draws(NamedTuple):
    """What chance decides in a step, for this process's share of the batch."""

    latent: Tensor
    """Standard normal, shape (B, latent)."""
    chances: Tensor
    """Uniform, for the augmentation of drawn and of real images, shape (B, 2, CHANCES)."""
    quarter: Tensor
    """Which quarter of a real image is drawn again, int64, shape (B,)."""
    mirrored: Tensor
    """Which real images are mirrored, bool, shape (B,)."""


class FastGAN(GeneratorModule):
    """Liu et al., "Towards Faster and Stabilized GAN Training for [...] Few-shot", ICLR 2021.

    With differentiable augmentation (Zhao et al., NeurIPS 2020), hinge loss, and the moving average
    of the weights for sampling (Yazici et al., ICLR 2019).

    A step is one update of the discriminator and one of the generator, on the same drawn images.
    Gradients are taken by `autograd.grad`, averaged over the processes here, and never reach the
    other network, so that DDP has nothing to reduce and no parameter is "unused".

    Args:
        image_size: Side of the images in pixels: 32, 64, 128 or 256.
        steps: Steps of the fit.
        batch_size: Images of a global batch.
        learning_rate: Of both Adams.
        beta1: Of both Adams.
        beta2: Of both Adams.
        latent: Length of the latent vector.
        width: Channels at 64x64, half at 128x128, at most 4 times as many at small sides.
        augment: Differentiable augmentations: any of color, translation, cutout.
        flip: Mirror half of the training images left to right.
        redraw: Weight of the discriminator's second task; 0 leaves it out.
        sample_batch_size: Images sampled at once.
        ema_decay: Ceiling of the moving average's decay.
        cuda_graph: Record the step as a CUDA graph, where there is one CUDA device.
        seed: Of batches, latent vectors and augmentations.
    """

    def __init__(
        self,
        image_size: int,
        steps: int = 10000,
        batch_size: int = 16,
        learning_rate: float = 2e-4,
        beta1: float = 0.5,
        beta2: float = 0.99,
        latent: int = 128,
        width: int = 48,
        augment: Sequence[str] = ("color", "translation"),
        flip: bool = False,
        redraw: float = 1.0,
        sample_batch_size: int = 250,
        ema_decay: float = 0.999,
        cuda_graph: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(image_size, steps, batch_size, sample_batch_size, seed, cuda_graph)
        for key, value in (("latent", latent), ("width", width)):
            if value < 1:
                raise UserError(f"generator.{key}={value}: must be at least 1")
        augment = [str(name) for name in augment]
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.augment = DiffAugment(augment)
        self.generator = Generator(image_size, latent, width)
        self.discriminator = Discriminator(image_size, width)
        self.ema = EMA(self.generator, ema_decay)
        self.running_loss: Tensor
        self.register_buffer("running_loss", torch.full((), 2.0))

    @property
    def last_loss(self) -> float:
        """Moving average of the discriminator's hinge loss over about a hundred steps.

        2: it cannot tell real images from drawn ones. 0: it tells all of them.
        """
        return float(self.running_loss)

    def draws(self, step: int, position: Tensor) -> Draws:
        """Draw what chance decides in a step: a function of (seed, step, position).

        Args:
            step: The step.
            position: Places in the global batch, int64, shape (B,).
        """
        generator = torch_generator(position.device, self.seed, "step", step)
        kwargs: dict[str, Any] = {"device": position.device, "generator": generator}
        size = self.batch_size
        # Of a fixed type: in double precision other numbers would be drawn.
        latent = torch.randn(size, self.hparams["latent"], dtype=torch.float32, **kwargs)
        chances = torch.rand(size, 2, CHANCES, dtype=torch.float32, **kwargs)
        quarter = torch.randint(4, (size,), **kwargs)
        mirrored = torch.rand(size, **kwargs) < 0.5
        return Draws(*(drawn[position] for drawn in (latent, chances, quarter, mirrored)))

    def on_train_start(self) -> None:
        """Record the step where that can be; a checkpoint has been read by now."""
        super().on_train_start()
        for group in self._optimizer_of_the_discriminator().param_groups:
            group["capturable"] = self.records  # the checkpoint may come from another device
        self.step_function = self.record(self.heavy_part)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Update the discriminator, then the generator; counted as one step."""
        draws = self.draws(batch["step"], batch["position"])
        real = from_grey(batch["image"]).to(self.dtype)
        if self.hparams["flip"]:
            real = torch.where(draws.mirrored[:, None, None, None], real.flip(-1), real)
        latent, chances = draws.latent.to(self.dtype), draws.chances.to(self.dtype)
        step = self.step_function or self.heavy_part
        loss, *gradients = step(real, latent, chances, draws.quarter)
        give_gradients(self.generator.parameters(), gradients)
        # Lightning counts the steps of the optimisers that it wraps: this one alone.
        self._optimizers()[0].step()
        self.ema.update(self.generator, batch["step"])
        self.running_loss.lerp_(loss, 0.01)
        self.log("train/loss", loss, prog_bar=True)

    def heavy_part(
        self, real: Tensor, latent: Tensor, chances: Tensor, quarter: Tensor
    ) -> tuple[Tensor, ...]:
        """Update the discriminator, and find the generator's gradients.

        Args:
            real: Real images in [-1, 1], shape (B, 1, H, W).
            latent: Shape (B, latent).
            chances: Shape (B, 2, CHANCES); see `Draws`.
            quarter: int64, shape (B,).

        Returns:
            The hinge loss of the discriminator before its update, and the gradients; of the global
            batch.
        """
        drawn = self.augment(self.generator(latent).to(real.dtype), chances[:, 0])
        loss = self._train_discriminator(self.augment(real, chances[:, 1]), drawn, quarter)
        # Autocast keeps a cast of each weight; those of the discriminator have just changed.
        torch.clear_autocast_cache()
        scores, _, _ = self.discriminator(drawn)
        weights = list(self.generator.parameters())
        gradients = take_gradients(-scores.to(real.dtype).mean(), weights)
        return tuple(self.mean_of_ranks([loss, *gradients]))

    def _train_discriminator(self, real: Tensor, drawn: Tensor, quarter: Tensor) -> Tensor:
        """Update the discriminator; returns its hinge loss before."""
        count = len(real)
        scores, middle, last = self.discriminator(torch.cat([real, drawn.detach()]))
        scores = scores.to(real.dtype)  # autocast gives bfloat16
        loss = hinge_loss(scores[:count], scores[count:])
        redraw = self.discriminator.redraw_loss(real, middle[:count], last[:count], quarter)
        weights = list(self.discriminator.parameters())
        gradients = take_gradients(loss + self.hparams["redraw"] * redraw, weights)
        give_gradients(weights, self.mean_of_ranks(gradients))
        self._optimizer_of_the_discriminator().step()
        return loss.detach()

    def _optimizers(self) -> Any:
        return self.optimizers()

    def _optimizer_of_the_discriminator(self) -> torch.optim.Optimizer:
        """Without Lightning's wrapper, which would count its steps."""
        optimizer: torch.optim.Optimizer = self._optimizers()[1].optimizer
        return optimizer

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for the generator, Adam for the discriminator."""
        return [
            torch.optim.Adam(
                network.parameters(),
                lr=self.hparams["learning_rate"],
                betas=(self.hparams["beta1"], self.hparams["beta2"]),
                fused=True,
            )
            for network in (self.generator, self.discriminator)
        ]

    @torch.no_grad()
    def sample_block(self, block: int, seed: int) -> Tensor:
        """Draw a block of images from latent vectors that are a function of (seed, block)."""
        generator = torch_generator(self.device, seed, "sample", block)
        shape = (self.sample_batch_size, self.hparams["latent"])
        latent = torch.randn(shape, dtype=torch.float32, device=self.device, generator=generator)
        images: Tensor = self.ema.network(latent.to(self.dtype))
        return to_grey(images[:, 0])
