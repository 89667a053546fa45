"""What can be tested of CUDA graphs without a GPU, and the gradients that they record."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gansfp.forge.gradients import give_gradients, take_gradients
from gansfp.forge.graphs import StepGraph


def test_off_a_gpu_a_call_is_a_call():
    calls = []

    def double(x):
        calls.append(x)
        return (2 * x,)

    graph = StepGraph(double)
    for k in range(6):
        assert graph(torch.tensor([float(k)]))[0].item() == 2 * k
    assert len(calls) == 6


def test_gradients_are_those_of_backward_in_the_layout_of_the_weights():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1), nn.Flatten(), nn.Linear(72, 1))
    net.to(memory_format=torch.channels_last)
    weights = list(net.parameters())
    images = torch.randn(2, 3, 8, 8)
    found = take_gradients(net(images).square().mean(), weights)
    assert all(weight.grad is None for weight in weights)
    assert all(one.stride() == weight.stride() for one, weight in zip(found, weights, strict=True))
    net(images).square().mean().backward()
    for one, weight in zip(found, weights, strict=True):
        torch.testing.assert_close(one, weight.grad)
    give_gradients(weights, [torch.full_like(w, k) for k, w in enumerate(weights)])
    assert [weight.grad.mean().item() for weight in weights] == list(range(6))


def test_what_a_loss_does_not_depend_on_gets_zeros():
    one, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    assert take_gradients(one.sum(), [one, other])[1].tolist() == [0, 0, 0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_replay_is_the_call():
    weight = torch.ones(3, device="cuda")

    def step(x):
        weight.add_(x.mean())
        return (weight * x,)

    graph = StepGraph(step)
    total = 1.0
    for k in range(8):
        total += k
        (found,) = graph(torch.full((3,), float(k), device="cuda"))
        assert found.tolist() == [total * k] * 3  # each call moves the weight once
    assert graph._graph is not None
