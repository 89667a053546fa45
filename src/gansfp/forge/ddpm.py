"""A denoising diffusion model as a LightningModule, with a fast sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDIMScheduler, DDPMScheduler
from torch import Tensor
from torch.nn import functional

from gansfp.errors import UserError
from gansfp.forge.ema import EMA
from gansfp.forge.generator import GeneratorModule, from_grey, to_grey
from gansfp.forge.gradients import give_gradients, take_gradients
from gansfp.forge.network import NoisePredictor
from gansfp.forge.seeds import torch_generator

PREDICTIONS = {"noise": "epsilon", "v": "v_prediction"}
SCHEDULES = ("squaredcos_cap_v2", "linear", "scaled_linear")


class DDPM(GeneratorModule):
    """Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", NeurIPS 2020.

    Sampled in few steps by DDIM without added noise (Song, Meng and Ermon, ICLR 2021), with the
    moving average of the weights.

    Args:
        image_size: Side of the images in pixels.
        steps: Optimiser steps.
        batch_size: Images of a global batch.
        learning_rate: Of AdamW, after the warm-up.
        weight_decay: Of AdamW.
        warmup_steps: The learning rate rises linearly over these steps.
        gradient_clip: Largest norm of the gradient.
        channels: Channels of the U-Net's levels, fine to coarse.
        layers: Residual blocks a level.
        attention: Sides in pixels of the levels with self-attention.
        dropout: Probability inside the residual blocks.
        flip: Mirror half of the training images left to right.
        timesteps: Steps of the diffusion.
        schedule: Its betas: squaredcos_cap_v2 (cosine) or linear.
        prediction: What the network predicts: "noise", or "v", from which an image follows also at
            the last timestep, where noise says nothing of it (Salimans and Ho, ICLR 2022).
        sampling_steps: Steps of the sampler.
        sample_batch_size: Images sampled at once.
        ema_decay: Ceiling of the moving average's decay.
        compile: Compile the network; pays for itself in long fits on a GPU.
        cuda_graph: Record the step as a CUDA graph, where there is one CUDA device; not with
            `compile`.
        seed: Of batches, noise and timesteps.
    """

    def __init__(
        self,
        image_size: int,
        steps: int = 6000,
        batch_size: int = 64,
        learning_rate: float = 2e-4,
        weight_decay: float = 0.0,
        warmup_steps: int = 500,
        gradient_clip: float = 1.0,
        channels: Sequence[int] = (64, 128, 192, 256),
        layers: int = 1,
        attention: Sequence[int] = (8, 16),
        dropout: float = 0.0,
        flip: bool = False,
        timesteps: int = 1000,
        schedule: str = "squaredcos_cap_v2",
        prediction: str = "v",
        sampling_steps: int = 50,
        sample_batch_size: int = 250,
        ema_decay: float = 0.999,
        compile: bool = False,
        cuda_graph: bool = True,
        seed: int = 0,
    ) -> None:
        graph = cuda_graph and not compile
        super().__init__(image_size, steps, batch_size, sample_batch_size, seed, graph)
        if schedule not in SCHEDULES:
            raise UserError(f"generator.schedule={schedule}: must be one of {', '.join(SCHEDULES)}")
        if prediction not in PREDICTIONS:
            raise UserError(
                f"generator.prediction={prediction}: must be one of {', '.join(PREDICTIONS)}"
            )
        if not 1 <= sampling_steps <= timesteps:
            raise UserError(f"generator.sampling_steps={sampling_steps}: must be 1 to {timesteps}")
        channels, attention = [int(c) for c in channels], [int(a) for a in attention]
        self.save_hyperparameters()
        self.network = NoisePredictor(image_size, channels, layers, attention, dropout)
        self.ema = EMA(self.network, ema_decay)
        self.diffusion = DDPMScheduler(
            num_train_timesteps=timesteps,
            beta_schedule=schedule,
            prediction_type=PREDICTIONS[prediction],
        )
        self.running_loss: Tensor
        self.register_buffer("running_loss", torch.ones(()))
        self._gradients: list[Tensor] = []

    @property
    def last_loss(self) -> float:
        """Moving average of the loss over about the last hundred steps; 1 is no knowledge."""
        return float(self.running_loss)

    def on_fit_start(self) -> None:
        """Compile in place, so that the names of the weights stay."""
        super().on_fit_start()
        if self.hparams["compile"]:
            self.network.compile()

    def on_train_start(self) -> None:
        """Record the step where that can be."""
        super().on_train_start()
        self.step_function = self.record(self.heavy_part) if self.records else None

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Predict the noise that was added, or v; mean squared error over pixels."""
        noise, timestep, mirrored = self.draws(batch["step"], batch["position"])
        clean, noise = from_grey(batch["image"]).to(self.dtype), noise.to(self.dtype)
        if self.hparams["flip"]:
            clean = torch.where(mirrored[:, None, None, None], clean.flip(-1), clean)
        noisy = self.diffuse(clean, noise, timestep)
        target = self.target(clean, noise, timestep)
        if self.step_function is None:
            loss = self.loss(noisy, timestep, target)
        else:
            loss, *self._gradients = self.step_function(noisy, timestep, target)
            loss = loss.clone()  # the next step writes into the graph's own
        (mean,) = self.mean_of_ranks([loss.detach().clone()])
        self.running_loss.lerp_(mean, 0.01)
        self.log("train/loss", mean, prog_bar=True)
        return loss

    def on_train_end(self) -> None:
        """Let go of the gradients too."""
        super().on_train_end()
        self._gradients = []

    def loss(self, noisy: Tensor, timestep: Tensor, target: Tensor) -> Tensor:
        """Mean squared error over pixels; arguments as `heavy_part` takes them."""
        predicted = self.network(noisy, timestep).to(target.dtype)
        return functional.mse_loss(predicted, target)

    def heavy_part(self, noisy: Tensor, timestep: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        """Find loss and gradients: the part that a CUDA graph records.

        Args:
            noisy: Shape (B, 1, H, W).
            timestep: int64, shape (B,).
            target: What the network must predict, shape (B, 1, H, W).
        """
        loss = self.loss(noisy, timestep, target)
        return loss.detach(), *take_gradients(loss, list(self.network.parameters()))

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Go backward, or take the gradients that the graph has found already."""
        if self.step_function is None:
            super().backward(loss, *args, **kwargs)
        else:
            give_gradients(self.network.parameters(), self._gradients)

    def draws(self, step: int, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw what chance decides in a step: a function of (seed, step, position).

        Args:
            step: The optimiser step.
            position: Places in the global batch, int64, shape (B,).

        Returns:
            Standard normal noise (B, 1, H, W), timesteps (B,), and which images to mirror (B,).
        """
        generator = torch_generator(position.device, self.seed, "step", step)
        shape = (self.batch_size, 1, self.image_size, self.image_size)
        kwargs: dict[str, Any] = {"device": position.device, "generator": generator}
        noise = torch.randn(shape, dtype=torch.float32, **kwargs)  # also in double precision
        timestep = torch.randint(self.hparams["timesteps"], (self.batch_size,), **kwargs)
        mirrored = torch.rand(self.batch_size, **kwargs) < 0.5
        return noise[position], timestep[position], mirrored[position]

    def target(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Say what the network must predict: the noise, or `sqrt(abar) noise - sqrt(1 - abar) x0`.

        Args:
            clean: Images in [-1, 1], shape (B, 1, H, W).
            noise: Standard normal, same shape.
            timestep: int64, shape (B,).
        """
        if self.hparams["prediction"] == "noise":
            return noise
        velocity: Tensor = self.diffusion.get_velocity(clean, noise, timestep)
        return velocity

    def diffuse(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Go forward to a timestep: `sqrt(abar) x0 + sqrt(1 - abar) noise` (Ho et al., eq. 4).

        Args:
            clean: Images in [-1, 1], shape (B, 1, H, W).
            noise: Standard normal, same shape.
            timestep: int64, shape (B,).
        """
        noisy: Tensor = self.diffusion.add_noise(clean, noise, timestep)
        return noisy.contiguous(memory_format=torch.channels_last)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step, then let the average follow; before any callback could save a checkpoint."""
        step = self.trainer.global_step
        super().optimizer_step(*args, **kwargs)
        self.ema.update(self.network, step)

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Clip by norm here: the generator's recipe does not hang on the Trainer's settings."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.hparams["gradient_clip"])

    def configure_optimizers(self) -> Any:
        """AdamW with a linear warm-up."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=self.hparams["learning_rate"],
            weight_decay=self.hparams["weight_decay"],
            fused=True,
        )
        warmup = max(1, self.hparams["warmup_steps"])
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min(1.0, (step + 1) / warmup)
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    @torch.no_grad()
    def sample_block(self, block: int, seed: int) -> Tensor:
        """Draw a block of images from noise that is a function of (seed, block)."""
        generator = torch_generator(self.device, seed, "sample", block)
        shape = (self.sample_batch_size, 1, self.image_size, self.image_size)
        image = torch.randn(shape, dtype=torch.float32, device=self.device, generator=generator)
        image = image.to(self.dtype).contiguous(memory_format=torch.channels_last)
        solver = self._solver()
        # Plain numbers: a timestep on the GPU would be read back at each step.
        for timestep in solver.timesteps.tolist():
            noise = self.ema.network(image, timestep).to(self.dtype)
            image = solver.step(noise, timestep, image, return_dict=False)[0]
        return to_grey(image[:, 0])

    def _solver(self) -> Any:
        """Build the sampler from the schedule of the training."""
        # "trailing" begins at the last timestep, which is where pure noise belongs
        # (Lin et al., "Common diffusion noise schedules and sample steps are flawed", 2024).
        solver = DDIMScheduler.from_config(self.diffusion.config, timestep_spacing="trailing")
        solver.set_timesteps(self.hparams["sampling_steps"])
        return solver
