from __future__ import annotations

import math
from types import SimpleNamespace

import lightning as L
import pytest
import torch

from gansfp.errors import UserError
from gansfp.methods.optimisation import make_optimiser, make_schedule, optimisation, steps_of_fit


def rates(schedule: str, steps: int, warmup: float = 0.0) -> list[float]:
    optimiser = make_optimiser("sgd", [torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    scheduler = make_schedule(schedule, optimiser, steps, warmup)
    found = []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if scheduler is not None:
            scheduler.step()
    return found


def test_cosine_rises_and_falls_as_the_formula_says() -> None:
    wanted = [0.25, 0.5] + [0.25 * (1 + math.cos(math.pi * k / 8)) for k in range(8)]
    assert rates("cosine", 10, warmup=0.2) == pytest.approx(wanted)
    assert rates("constant", 3) == [0.5, 0.5, 0.5]


def test_one_cycle_peaks_at_the_learning_rate() -> None:
    found = rates("one_cycle", 100)
    assert max(found) == pytest.approx(0.5, rel=1e-3)
    assert found[0] == pytest.approx(0.5 / 25)
    assert found[-1] < 0.5 / 1000
    assert 25 < found.index(max(found)) < 35


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("adamw", "AdamW"), ("sgd", "SGD")])
def test_optimisers_by_name(name: str, kind: str) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    built = make_optimiser(name, [{"params": [parameter], "lr": 1e-5}], 1e-4, 0.01)
    assert type(built).__name__ == kind
    assert built.param_groups[0]["weight_decay"] == 0.01
    assert built.param_groups[0]["lr"] == 1e-5
    assert optimisation(built, None) == {"optimizer": built}
    scheduler = make_schedule("cosine", built, 10)
    assert optimisation(built, scheduler)["lr_scheduler"]["interval"] == "step"


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"max_epochs": 3}, 30),
        ({"max_epochs": 3, "limit_train_batches": 4}, 12),
        ({"max_epochs": 3, "limit_train_batches": 0.55}, 15),
        ({"max_epochs": 3, "accumulate_grad_batches": 4}, 9),
        ({"max_epochs": 3, "max_steps": 7}, 7),
    ],
)
def test_steps_are_those_that_lightning_estimates(settings: dict[str, float], steps: int) -> None:
    trainer = L.Trainer(**settings, accelerator="cpu", logger=False, enable_checkpointing=False)
    batches = SimpleNamespace(train_dataloader=lambda: range(10))
    assert steps_of_fit(trainer, batches) == steps


def test_unknown_names() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    with pytest.raises(UserError, match="optimiser=lion"):
        make_optimiser("lion", parameters, 1e-4)
    with pytest.raises(UserError, match="schedule=step"):
        make_schedule("step", make_optimiser("adam", parameters, 1e-4), 10)
