"""The queue and the momentum update: order, end of the queue, formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gansfp.errors import UserError
from gansfp.methods.taozi.queue import KeyQueue, follow


def test_queue_wraps_around() -> None:
    queue = KeyQueue(5, 2)
    start = queue.keys.clone()
    batches = torch.arange(24, dtype=torch.float32).view(4, 3, 2)
    queue.push(batches[0])
    torch.testing.assert_close(queue.keys[:3], batches[0])  # in the order of the batch
    torch.testing.assert_close(queue.keys[3:], start[3:])
    queue.push(batches[1])
    expected = torch.stack([batches[1][2], *batches[0][1:], *batches[1][:2]])
    torch.testing.assert_close(queue.keys, expected)
    assert queue.pointer.item() == 1
    queue.push(batches[2])
    queue.push(batches[3])
    # Twelve keys went in; place p holds the last one of those with number = p modulo 5.
    flat = batches.view(12, 2)
    torch.testing.assert_close(queue.keys, torch.stack([flat[i] for i in (10, 11, 7, 8, 9)]))


def test_queue_starts_with_directions_and_refuses_too_many() -> None:
    queue = KeyQueue(4, 3)
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(4))
    with pytest.raises(UserError, match=r"method.queue=4: must hold a batch of 5"):
        queue.push(torch.zeros(5, 3))


def test_pushed_keys_carry_no_gradient() -> None:
    queue = KeyQueue(4, 3)
    queue.push(torch.ones(2, 3, requires_grad=True))
    assert not queue.keys.requires_grad


def test_momentum_update_by_hand() -> None:
    torch.manual_seed(0)
    fast = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    slow = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    before = {name: value.clone() for name, value in slow.state_dict().items()}
    fast(torch.randn(8, 3))  # moves the statistics of its batch norm
    follow(slow, fast, 0.9)
    for name, parameter in slow.named_parameters():
        torch.testing.assert_close(
            parameter.data, 0.9 * before[name] + 0.1 * fast.state_dict()[name]
        )
    torch.testing.assert_close(slow[1].running_mean, before["1.running_mean"])
