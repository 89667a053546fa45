"""Losses over the batch of all processes: two gloo processes give the loss and gradient of one."""

from __future__ import annotations

import copy
import socket
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from gansfp.losses.gather import gather_batch
from gansfp.losses.infonce import InfoNCE
from gansfp.losses.supcon import SupCon
from gansfp.methods.taozi.queue import KeyQueue, follow

pytestmark = pytest.mark.ddp

BATCH, DIM, STEPS = 6, 5, 4


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(7, 16), nn.GELU(), nn.Linear(16, DIM)).double()


def _inputs(step: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    shapes = {"anchor": (BATCH, 7), "key": (BATCH, 7), "negative": (BATCH, 3, 7)}
    drawn = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }
    return {**drawn, "label": torch.randint(0, 2, (BATCH,), generator=generator)}


def _moco(network: nn.Module, slow: nn.Module, queue: KeyQueue, x: dict) -> torch.Tensor:
    raw = network.module if hasattr(network, "module") else network
    follow(slow, raw, 0.9)
    query = F.normalize(network(x["anchor"]), dim=1)
    with torch.no_grad():
        keys, negatives = (F.normalize(slow(x[name]), dim=-1) for name in ("key", "negative"))
    heat = 0.1 + 0.05 * torch.sigmoid(query.sum(dim=1))
    loss = InfoNCE()(query, keys.unsqueeze(1), heat, negatives, queue.keys.clone())
    queue.push(gather_batch(keys))
    return loss


def _in_batch(network: nn.Module, x: dict) -> torch.Tensor:
    """Each anchor against the keys of the whole batch, both with gradient."""
    both = F.normalize(network(torch.cat([x["anchor"], x["key"]])), dim=1)
    query, keys = both.chunk(2)
    return InfoNCE()(query, keys.unsqueeze(1), 0.2, shared=gather_batch(keys))


def _supcon(network: nn.Module, x: dict) -> torch.Tensor:
    return SupCon(0.1)(F.normalize(network(x["anchor"]), dim=1), x["label"])


def _run(rank: int, world: int) -> dict[str, torch.Tensor]:
    """Train for a few steps by all three losses; what this process ends with."""
    result: dict[str, torch.Tensor] = {}
    for name in ("moco", "in_batch", "supcon"):
        plain = _network()
        network = DistributedDataParallel(plain) if world > 1 else plain
        slow = copy.deepcopy(plain).requires_grad_(False)
        torch.manual_seed(1)
        queue = KeyQueue(10, DIM).double()  # wraps around within the steps
        optimiser = torch.optim.SGD(plain.parameters(), lr=0.1)
        losses = []
        for step in range(STEPS):
            x = {key: value[rank::world] for key, value in _inputs(step).items()}
            if name == "moco":
                loss = _moco(network, slow, queue, x)
            else:
                loss = (_in_batch if name == "in_batch" else _supcon)(network, x)
            optimiser.zero_grad()
            loss.backward()
            if step == 0:
                result[f"{name}_gradient"] = torch.cat(
                    [p.grad.flatten() for p in plain.parameters()]
                )
            optimiser.step()
            losses.append(loss.detach())
        mean = torch.stack(losses)
        if world > 1:
            distributed.all_reduce(mean)
        result[f"{name}_losses"] = mean / world
        result[f"{name}_weights"] = torch.cat([p.detach().flatten() for p in plain.parameters()])
        result[f"{name}_queue"] = queue.keys.clone()
    return result


def _process(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    try:
        torch.save(_run(rank, 2), Path(folder) / f"{rank}.pt")
    finally:
        distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_have_the_loss_and_gradient_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_process, (port, str(tmp_path)), nprocs=2)
    alone = _run(0, 1)
    assert alone["moco_gradient"].abs().max() > 1e-3
    for rank in (0, 1):
        shared = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name, value in alone.items():
            torch.testing.assert_close(shared[name], value, rtol=1e-9, atol=1e-12, msg=name)


def test_one_process_joins_nothing() -> None:
    x = torch.randn(3, 2)
    assert gather_batch(x) is x
