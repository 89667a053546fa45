"""What a GAN's networks say of an image: the discriminator's score, and how well it is drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gansfp.forge.seeds import torch_generator

if TYPE_CHECKING:
    from gansfp.forge.gan.module import FastGAN


@torch.no_grad()
def discriminator_score(model: FastGAN, clean: Tensor) -> Tensor:
    """Mean score of the discriminator over the regions of an image.

    Hayes, Melis, Danezis and De Cristofaro, "LOGAN: Membership Inference Attacks Against Generative
    Models", PETS 2019, the white-box attack.

    Args:
        model: Trained.
        clean: Images in [-1, 1], shape (B, 1, H, W).

    Returns:
        Higher for members, shape (B,).
    """
    scores, _, _ = model.discriminator(clean)
    mean: Tensor = scores.float().mean(dim=1)
    return mean


def inversion_error(
    model: FastGAN,
    clean: Tensor,
    steps: int = 200,
    restarts: int = 2,
    learning_rate: float = 0.05,
    seed: int = 0,
) -> Tensor:
    """Mean squared error of the best image that the generator can be made to draw.

    Chen, Yu, Zhang and Fritz, "GAN-Leaks", CCS 2020, the white-box attack: `min_z || G(z) - x ||^2`
    by gradient descent on z, here by Adam, from several starts, with G's averaged weights; plus the
    paper's penalty that keeps z near the prior, here as a projection onto the sphere of radius
    sqrt(latent) on which normal vectors lie.

    Args:
        model: Trained.
        clean: Images in [-1, 1], shape (B, 1, H, W).
        steps: Of Adam.
        restarts: Starts; the best counts.
        learning_rate: Of Adam.
        seed: Of the starts, which are the same for every image.

    Returns:
        Lower for members, shape (B,).
    """
    radius = model.hparams["latent"] ** 0.5
    best = torch.full((len(clean),), torch.inf, device=clean.device)
    for restart in range(restarts):
        source = torch_generator(clean.device, seed, "inversion", restart)
        start = torch.randn((1, model.hparams["latent"]), device=clean.device, generator=source)
        latent = start.repeat(len(clean), 1).requires_grad_()
        optimiser = torch.optim.Adam([latent], lr=learning_rate)
        for _ in range(steps):
            error = _error(model, latent, clean)
            # Summed: the gradient of an image does not hang on the others of its batch.
            (latent.grad,) = torch.autograd.grad(error.sum(), [latent])
            optimiser.step()
            with torch.no_grad():
                best = torch.minimum(best, error)
                latent.mul_(radius / latent.norm(dim=1, keepdim=True).clamp_min(1e-6))
        with torch.no_grad():
            best = torch.minimum(best, _error(model, latent, clean))
    return best


def _error(model: FastGAN, latent: Tensor, clean: Tensor) -> Tensor:
    drawn = model.ema.network(latent)
    error: Tensor = ((drawn - clean) ** 2).flatten(1).mean(dim=1)
    return error
