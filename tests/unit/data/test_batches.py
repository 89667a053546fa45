from __future__ import annotations

import numpy as np
import pytest
import torch

from gansfp.data.batches import BatchPlan, PlanLoader, RowPlan, ShuffledRows, step_generator
from gansfp.errors import UserError


def shuffled(seed: int = 0, n: int = 23, batch_size: int = 4) -> ShuffledRows:
    return ShuffledRows(np.arange(100, 100 + n), np.arange(n) % 3, batch_size, seed)


def epoch(plan: BatchPlan, number: int) -> np.ndarray:
    return np.concatenate([plan.batch(number, step)["row"] for step in range(len(plan))])


def test_a_batch_depends_on_seed_epoch_and_step_alone() -> None:
    forward = {(e, s): shuffled().batch(e, s)["row"] for e in range(3) for s in range(5)}
    plan = shuffled()
    np.random.seed(1)
    torch.manual_seed(1)
    for key in reversed(forward):
        np.random.random(3)
        np.testing.assert_array_equal(plan.batch(*key)["row"], forward[key])


def test_epochs_and_seeds_differ() -> None:
    plan = shuffled()
    assert not np.array_equal(epoch(plan, 0), epoch(plan, 1))
    assert not np.array_equal(epoch(plan, 0), epoch(shuffled(seed=1), 0))


def test_an_epoch_shows_no_row_twice() -> None:
    plan = shuffled()
    assert len(plan) == 5
    seen = epoch(plan, 0)
    assert len(seen) == len(set(seen)) == 20
    left_out = [set(range(100, 123)) - set(epoch(plan, e)) for e in range(8)]
    assert len(set.union(*left_out)) > 3


def test_labels_stay_with_their_rows() -> None:
    batch = shuffled().batch(3, 2)
    np.testing.assert_array_equal(batch["label"], (batch["row"] - 100) % 3)


def test_fewer_rows_than_a_batch_make_one_batch() -> None:
    plan = shuffled(n=3, batch_size=32)
    assert len(plan) == 1
    assert sorted(plan.batch(0, 0)["row"]) == [100, 101, 102]


def test_step_generators_share_no_number() -> None:
    keys = [(0, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0), (0, 1, 0, 0), (1, 0, 0, 0)]
    draws = [step_generator(*key).integers(2**63, size=50) for key in keys]
    assert len(set(np.concatenate(draws).tolist())) == 250
    np.testing.assert_array_equal(draws[0], step_generator(0, 0, 0, 0).integers(2**63, size=50))


def test_row_plan_is_the_fixed_order() -> None:
    plan = RowPlan(np.array([5, 3, 9, 1, 7]), 2)
    assert [plan.batch(e, s)["row"].tolist() for e in (0, 1) for s in range(len(plan))] == [
        [5, 3], [9, 1], [7], [5, 3], [9, 1], [7],
    ]  # fmt: skip
    assert len(RowPlan(np.array([], dtype=np.int64), 2)) == 0


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_together_have_the_global_batch(world_size: int) -> None:
    loaders = [PlanLoader(shuffled(), rank, world_size) for rank in range(world_size)]
    for loader in loaders:
        loader.sampler.set_epoch(2)
    for step, shares in enumerate(zip(*loaders, strict=True)):
        together = torch.stack([share["row"] for share in shares], dim=1).flatten()
        assert together.tolist() == shuffled().batch(2, step)["row"].tolist()


def test_a_batch_that_ranks_cannot_share() -> None:
    with pytest.raises(UserError, match=r"batch of 4 cannot be shared by 3.*multiple of 3"):
        PlanLoader(shuffled(), 0, 3)


def test_loader_yields_int64_tensors_of_its_epoch() -> None:
    loader = PlanLoader(shuffled())
    for number in (0, 1, 0):
        loader.sampler.set_epoch(number)
        batches = list(loader)
        assert len(batches) == len(loader) == 5
        assert batches[0]["row"].dtype == torch.int64
        np.testing.assert_array_equal(
            torch.cat([b["row"] for b in batches]), epoch(shuffled(), number)
        )


def test_epoch_is_read_when_the_first_batch_is_asked_for() -> None:
    loader = PlanLoader(shuffled())
    iterator = iter(loader)
    loader.sampler.set_epoch(4)
    assert next(iterator)["row"].tolist() == shuffled().batch(4, 0)["row"].tolist()


def test_state_resumes_in_its_epoch_only() -> None:
    loader = PlanLoader(shuffled())
    loader.sampler.set_epoch(1)
    iterator = iter(loader)
    next(iterator), next(iterator)
    state = loader.state_dict()
    assert state == {"epoch": 1, "step": 2, "steps": 5}
    for number, first in ((1, 2), (2, 0)):
        again = PlanLoader(shuffled())
        again.load_state_dict(state)
        assert again.state_dict() == state
        iterator = iter(again)
        again.sampler.set_epoch(number)
        assert next(iterator)["row"].tolist() == shuffled().batch(number, first)["row"].tolist()
        # The epoch after that is whole again.
        again.sampler.set_epoch(number + 1)
        assert len(list(again)) == 5


def test_state_of_another_plan_is_refused() -> None:
    loader = PlanLoader(shuffled())
    with pytest.raises(UserError, match="7 steps an epoch, now there are 5"):
        loader.load_state_dict({"epoch": 0, "step": 1, "steps": 7})


@pytest.mark.parametrize("batch_size", [0, -1])
def test_batch_size_must_be_positive(batch_size: int) -> None:
    with pytest.raises(UserError, match="batch_size"):
        RowPlan(np.arange(3), batch_size)
