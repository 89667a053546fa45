"""Losses of DCLGAN (Han et al., CVPR workshops 2021) and of Neural Nexus' additions to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from gansfp.losses.infonce import at_least_single

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor


def adversarial(scores: Tensor, real: bool) -> Tensor:
    """Cross-entropy of discriminator logits, any shape, that are to say `real` or not."""
    scores = at_least_single(scores)
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))


def hinge(scores: Tensor, real: bool) -> Tensor:
    """Hinge of discriminator logits, any shape: mean of max(0, 1 - D) for real, max(0, 1 + D)."""
    scores = at_least_single(scores)
    return F.relu(1 - scores if real else 1 + scores).mean()


class PatchNCE(nn.Module):
    """Tell the patch at the same place from the other patches of the same image.

    loss = mean over patches i of -log(exp(q_i k_i / T) / sum_j exp(q_i k_j / T)) (Park et al., ECCV
    2020, which DCLGAN uses in each direction). Keys take no gradient.

    Attributes:
        temperature: T.
    """

    def __init__(self, temperature: float = 0.07) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Compute the mean loss.

        Args:
            queries: Unit vectors of patches of translated images, shape (B, P, D).
            keys: Unit vectors of the same places of the inputs, shape (B, P, D).
        """
        with torch.autocast(queries.device.type, enabled=False):  # as in InfoNCE
            logits = at_least_single(queries) @ at_least_single(keys.detach()).transpose(1, 2)
        places = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
        return F.cross_entropy((logits / self.temperature).flatten(0, 1), places.flatten())


def feature_matching(translated: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean absolute gap between the batch means of discriminator features, averaged over layers."""
    gaps = [
        (at_least_single(fake).mean(dim=0) - at_least_single(true).mean(dim=0).detach())
        .abs()
        .mean()
        for fake, true in zip(translated, real, strict=True)
    ]
    return torch.stack(gaps).mean()


def gradient_penalty(
    judge: Callable[[Tensor], Tensor], real: Tensor, translated: Tensor, share: Tensor
) -> Tensor:
    """Hold the discriminator's slope near one between both kinds (Gulrajani et al., 2017).

    Args:
        judge: Discriminator, from images to logits.
        real: Shape (B, 1, H, W).
        translated: Of the same shape.
        share: Of the real image in each mixture, shape (B,).

    Returns:
        Mean of (|gradient| - 1)^2.
    """
    weight = share.view(-1, 1, 1, 1)
    mixed = (weight * real + (1 - weight) * translated).detach().requires_grad_()
    (slope,) = torch.autograd.grad(judge(mixed).sum(), mixed, create_graph=True)
    steepness = at_least_single(slope).flatten(1).norm(dim=1)
    penalty: Tensor = (steepness - 1).square().mean()
    return penalty


def grey_histogram(images: Tensor, bins: int = 100) -> Tensor:
    """Share of pixels near each of `bins` equidistant grey levels of [-1, 1], with gradient.

    A pixel is shared by the two levels around it, in proportion to its nearness.

    Args:
        images: In [-1, 1], any shape.
        bins: Number of levels.

    Returns:
        Shape (bins,), sum 1.
    """
    place = (at_least_single(images).flatten().clamp(-1, 1) + 1) / 2 * (bins - 1)
    below = place.detach().floor().clamp(max=bins - 2).long()
    above = place - below
    counts = place.new_zeros(bins).index_add(0, below, 1 - above).index_add(0, below + 1, above)
    return counts / place.numel()


def grey_divergence(translated: Tensor, real: Tensor, bins: int = 100) -> Tensor:
    """Kullback-Leibler divergence of the grey values of real images from translated ones.

    sum p log(p / q), p of the real images, q of the translated ones, 1e-8 added to both.
    """
    p, q = (grey_histogram(x, bins) + 1e-8 for x in (real.detach(), translated))
    return (p * (p / q).log()).sum()
