"""The contrastive loss against its formula, and its gradient where the root is flat."""

from __future__ import annotations

import numpy as np
import torch

from gansfp.losses.contrastive import ContrastiveLoss


def test_hand_computed_pairs() -> None:
    left = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    right = torch.tensor([[3.0, 4.0], [0.3, 0.4], [3.0, 4.0], [1.0, 1.0]])
    same = torch.tensor([1, 0, 0, 0])
    # same: 25; apart at 0.5: (1 - 0.5)^2; beyond the margin: 0; on the spot: 1
    expected = (25 + 0.25 + 0 + 1) / 4
    torch.testing.assert_close(ContrastiveLoss(1.0)(left, right, same), torch.tensor(expected))


def test_formula_on_random_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(64, 16, generator=generator).double() / 4
    right = torch.randn(64, 16, generator=generator).double() / 4
    same = torch.randint(0, 2, (64,), generator=generator)
    d = np.linalg.norm(left.numpy() - right.numpy(), axis=1)
    y = same.numpy()
    expected = (y * d**2 + (1 - y) * np.maximum(0, 1.7 - d) ** 2).mean()
    got = ContrastiveLoss(1.7)(left, right, same)
    np.testing.assert_allclose(got.item(), expected, rtol=1e-10)
    assert (d > 1.7).any()
    assert (d < 1.7).any()


def test_gradient_is_finite_at_distance_zero() -> None:
    for same in (0, 1):
        left = torch.zeros(2, 4, requires_grad=True)
        ContrastiveLoss()(left, torch.zeros(2, 4), torch.full((2,), same)).backward()
        torch.testing.assert_close(left.grad, torch.zeros(2, 4))


def test_symmetric_in_its_arguments() -> None:
    left, right = torch.rand(8, 3), torch.rand(8, 3)
    same = torch.tensor([1, 0] * 4)
    loss = ContrastiveLoss()
    torch.testing.assert_close(loss(left, right, same), loss(right, left, same))
