"""What a diffusion model's network says of an image: denoising loss, SecMI, PIA."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gansfp.forge.seeds import torch_generator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gansfp.forge.ddpm import DDPM


SECMI_KEPT = 0.8951
"""abar at timestep 100 of the linear schedule (1e-4 to 0.02, 1,000 timesteps), as in the paper."""

PIA_KEPT = 0.6563
"""abar at timestep 200 of the same."""


def predicted_noise(model: DDPM, noisy: Tensor, timestep: int) -> Tensor:
    """Predict the noise in images, also by a network that predicts v.

    `eps = sqrt(abar) v + sqrt(1 - abar) x_t` (Salimans and Ho, ICLR 2022).

    Args:
        model: Trained; its averaged weights are asked.
        noisy: x_t, shape (B, 1, H, W).
        timestep: t.
    """
    given: Tensor = model.ema.network(noisy, timestep)
    if model.hparams["prediction"] == "noise":
        return given
    kept = _kept(model, timestep)
    return kept.sqrt() * given + (1 - kept).sqrt() * noisy


def timestep_at(model: DDPM, kept: float, multiple: int = 1) -> int:
    """Find the timestep at which a share `kept` of an image's variance is left.

    The papers name timesteps of a linear schedule; the same number of another schedule is another
    amount of noise.

    Args:
        model: Its schedule.
        kept: abar, such as `SECMI_KEPT`.
        multiple: The timestep is a multiple of it, and one more multiple is in the schedule.
    """
    levels = model.diffusion.alphas_cumprod[: -multiple or None][::multiple]
    nearest = int((levels - kept).abs()[1:].argmin()) + 1
    return nearest * multiple


@torch.no_grad()
def denoising_loss(
    model: DDPM, clean: Tensor, timesteps: Sequence[int], draws: int = 4, seed: int = 0
) -> Tensor:
    """Mean squared error of the predicted noise: the loss attack.

    Matsumoto, Miura and Yanai, "Membership Inference Attacks against Diffusion Models", 2023; Hu
    and Pang, "Membership Inference of Diffusion Models", 2023. All images get the same noise.

    Args:
        model: Trained.
        clean: Images in [-1, 1], shape (B, 1, H, W).
        timesteps: Averaged over.
        draws: Noises a timestep.
        seed: Of the noise.

    Returns:
        Lower for members, shape (B,).
    """
    total = torch.zeros(len(clean), device=clean.device)
    for timestep in timesteps:
        kept = _kept(model, timestep)
        for draw in range(draws):
            source = torch_generator(clean.device, seed, "loss", timestep, draw)
            noise = torch.randn((1, *clean.shape[1:]), device=clean.device, generator=source)
            noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
            error = (predicted_noise(model, noisy, timestep) - noise) ** 2
            total += error.flatten(1).mean(dim=1)
    return total / (len(timesteps) * draws)


@torch.no_grad()
def secmi(model: DDPM, clean: Tensor, timestep: int | None = None, interval: int = 10) -> Tensor:
    """Squared error of one DDIM step forward and back at t: SecMI's statistic, its t-error.

    Duan, Kong, Wang, Shi and Xu, "Are Diffusion Models Vulnerable to Membership Inference
    Attacks?", ICML 2023: x_t is reached from the image by deterministic steps of `interval`
    timesteps, x_{t + interval} by one more, and one step back gives the estimate of x_t.

    Args:
        model: Trained.
        clean: Images in [-1, 1], shape (B, 1, H, W).
        timestep: t, a multiple of `interval`; None: where as much noise is in x_t as in the paper.
        interval: Timesteps a step.

    Returns:
        Lower for members, shape (B,).
    """
    timestep = timestep_at(model, SECMI_KEPT, interval) if timestep is None else timestep
    state = clean
    for now in range(0, timestep, interval):
        state = _ddim(model, state, now, now + interval)
    there = _ddim(model, state, timestep, timestep + interval)
    back = _ddim(model, there, timestep + interval, timestep)
    return ((back - state) ** 2).flatten(1).sum(dim=1)


@torch.no_grad()
def pia(
    model: DDPM,
    clean: Tensor,
    timestep: int | None = None,
    power: int = 4,
    normalise: bool = False,
) -> Tensor:
    """Difference between the noise seen in the image itself and after adding just that noise: PIA.

    `|| eps(x_0, 0) - eps(sqrt(abar) x_0 + sqrt(1 - abar) eps(x_0, 0), t) ||_p^p`, p = 4 (Kong,
    Duan, Ma, Shen, Shi, Zhu and Xu, "An Efficient Membership Inference Attack for the Diffusion
    Model by Proximal Initialization", ICLR 2024). Normalised (PIAN), eps(x_0, 0) is scaled to the
    mean absolute value of standard normal noise.

    Args:
        model: Trained.
        clean: Images in [-1, 1], shape (B, 1, H, W).
        timestep: t; None: where as much noise is added as in the paper.
        power: p.
        normalise: PIAN.

    Returns:
        Lower for members, shape (B,).
    """
    timestep = timestep_at(model, PIA_KEPT) if timestep is None else timestep
    first = predicted_noise(model, clean, 0)
    if normalise:
        size = first.abs().mean(dim=(1, 2, 3), keepdim=True)
        first = first * (2 / torch.pi) ** 0.5 / size.clamp_min(1e-12)
    kept = _kept(model, timestep)
    second = predicted_noise(model, kept.sqrt() * clean + (1 - kept).sqrt() * first, timestep)
    return ((first - second).abs() ** power).flatten(1).sum(dim=1)


def _ddim(model: DDPM, state: Tensor, now: int, then: int) -> Tensor:
    """Go from x_now to x_then without added noise (Song, Meng and Ermon, ICLR 2021)."""
    noise = predicted_noise(model, state, now)
    here, there = _kept(model, now), _kept(model, then)
    clean = (state - (1 - here).sqrt() * noise) / here.sqrt()
    return there.sqrt() * clean + (1 - there).sqrt() * noise


def _kept(model: DDPM, timestep: int) -> Tensor:
    """Share of the image's variance that is left at a timestep: abar."""
    kept: Tensor = model.diffusion.alphas_cumprod[timestep].to(model.device)
    return kept
