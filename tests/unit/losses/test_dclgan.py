"""Losses of the contrastive translation against plain numpy and closed forms."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from gansfp.losses.dclgan import (
    PatchNCE,
    adversarial,
    feature_matching,
    gradient_penalty,
    grey_divergence,
    grey_histogram,
)


def test_adversarial_by_hand() -> None:
    scores = torch.tensor([[0.5, -1.0]])
    p = 1 / (1 + np.exp(-scores.numpy()))
    np.testing.assert_allclose(adversarial(scores, True).item(), -np.log(p).mean(), rtol=1e-6)
    np.testing.assert_allclose(adversarial(scores, False).item(), -np.log(1 - p).mean(), rtol=1e-6)


def test_patch_contrast_by_hand() -> None:
    torch.manual_seed(0)
    queries = F.normalize(torch.randn(2, 5, 4, dtype=torch.float64), dim=2).requires_grad_()
    keys = F.normalize(torch.randn(2, 5, 4, dtype=torch.float64), dim=2).requires_grad_()
    terms = []
    for image in range(2):
        cosines = (queries[image] @ keys[image].T).detach().numpy() / 0.07
        total = np.log(np.exp(cosines).sum(axis=1))
        terms += list(total - np.diag(cosines))
    loss = PatchNCE(0.07)(queries, keys)
    np.testing.assert_allclose(loss.item(), np.mean(terms), rtol=1e-10)
    loss.backward()
    assert keys.grad is None
    assert queries.grad.abs().sum() > 0


def test_feature_matching_by_hand() -> None:
    fake = [torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0], [1.0]])]
    real = [torch.tensor([[0.0, 0.0], [0.0, 2.0]]), torch.tensor([[4.0], [2.0]])]
    # means: (2, 3) against (0, 1), and 1 against 3
    torch.testing.assert_close(feature_matching(fake, real), torch.tensor((2.0 + 2.0) / 2))


def test_gradient_penalty_of_a_linear_judge() -> None:
    weight = torch.tensor([[3.0, 0.0], [0.0, 4.0]], requires_grad=True)  # slope of norm 5
    penalty = gradient_penalty(
        lambda x: (x * weight).sum(dim=(1, 2, 3)),
        torch.randn(3, 1, 2, 2),
        torch.randn(3, 1, 2, 2),
        torch.rand(3),
    )
    torch.testing.assert_close(penalty, torch.tensor(16.0))
    penalty.backward()  # d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|
    torch.testing.assert_close(weight.grad, 8 * weight.detach() / 5)


def test_penalty_is_taken_between_the_images() -> None:
    seen = []

    def judge(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach())
        return x.square().sum(dim=(1, 2, 3))

    real, fake = torch.ones(2, 1, 2, 2), torch.zeros(2, 1, 2, 2)
    gradient_penalty(judge, real, fake, torch.tensor([0.25, 1.0]))
    torch.testing.assert_close(seen[0][:, 0, 0, 0], torch.tensor([0.25, 1.0]))


def test_histogram_on_its_levels_is_numpys() -> None:
    levels = np.linspace(-1, 1, 5)
    values = levels[[0, 0, 1, 3, 4, 4, 4, 2]]
    got = grey_histogram(torch.from_numpy(values), bins=5)
    np.testing.assert_allclose(got.numpy(), np.array([2, 1, 1, 1, 3]) / 8, atol=1e-12)
    between = grey_histogram(torch.tensor([-0.875], dtype=torch.float64), bins=5)
    np.testing.assert_allclose(between.numpy(), [0.75, 0.25, 0, 0, 0], atol=1e-12)


def test_divergence_by_hand_and_with_gradient() -> None:
    torch.manual_seed(0)
    fake = (torch.rand(500, dtype=torch.float64) * 2 - 1).requires_grad_()
    real = torch.rand(500, dtype=torch.float64) - 0.5
    p, q = (grey_histogram(x).detach().numpy() + 1e-8 for x in (real, fake))
    loss = grey_divergence(fake, real)
    np.testing.assert_allclose(loss.item(), (p * np.log(p / q)).sum(), rtol=1e-10)
    loss.backward()
    assert fake.grad.abs().sum() > 0
    assert abs(grey_divergence(real, real).item()) < 1e-12
