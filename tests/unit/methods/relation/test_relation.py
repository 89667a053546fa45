"""The relation network: its module by hand, what it compares, scores by definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting import first_batch, predicted, quiet_trainer
from small import small_model
from torch.nn import functional as F

from gansfp.data.pairs import ClassPairs
from gansfp.errors import UserError
from gansfp.features import backbones
from gansfp.methods.relation.module import RelationNetworkModule
from gansfp.methods.relation.network import RelationModule

Data = Any


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "build_model", small_model)


@pytest.fixture
def data(membership: Data) -> Data:
    membership._sampling = ClassPairs(batch_size=4, steps_per_epoch=3)
    return membership


def _module(**options: Any) -> RelationNetworkModule:
    torch.manual_seed(0)
    return RelationNetworkModule(**{"partners": 5, "size": 96, **options})


def test_relation_by_hand() -> None:
    torch.manual_seed(0)
    relation = RelationModule(3, hidden=4).double().eval()
    left, right = (torch.randn(2, 3, 9, 9, dtype=torch.float64) for _ in range(2))
    x = F.conv2d(torch.cat([left, right], 1), *relation.first[0].parameters(), padding=1)
    x = (x / np.sqrt(1 + 1e-5)).relu()  # fresh statistics: mean 0, variance 1
    x = F.adaptive_max_pool2d(x, 5)
    x = (F.conv2d(x, *relation.second[0].parameters()) / np.sqrt(1 + 1e-5)).relu()
    first, _, second = list(relation.score)[1:]
    expected = second(first(x.amax((2, 3))).relu())[:, 0]
    torch.testing.assert_close(relation(left, right), expected)
    assert relation(left, right)[0] != relation(right, left)[0]


def test_batch_norms_remember_the_last_batch_alone() -> None:
    relation = RelationModule(2)
    for maps in (torch.randn(4, 2, 6, 6), 5 + torch.randn(4, 2, 6, 6)):
        relation(maps, maps)
        after = relation.first[0](torch.cat([maps, maps], 1))
        torch.testing.assert_close(relation.first[1].running_mean, after.mean((0, 2, 3)))


def test_real_and_synthetic_images_have_networks_of_their_own(data: Data) -> None:
    module = _module()
    shared = {id(p) for p in module.real_branch.parameters()}
    assert not shared & {id(p) for p in module.made_branch.parameters()}
    before = {name: value.clone() for name, value in module.named_parameters()}
    quiet_trainer().fit(module, data)
    moved = {
        n.split(".")[0] for n, value in module.named_parameters() if (value != before[n]).any()
    }
    assert moved == {"real_branch", "made_branch", "relation"}


def test_a_pair_is_compared_by_both_maps(data: Data) -> None:
    module = _module().eval()
    batch = first_batch(data)
    maps = module.real_branch(batch["real_image"]), module.made_branch(batch["generated_image"])
    assert maps[0].shape[2:] == (3, 3)
    expected = module.relation(*maps)
    flat = [module.predict_step({"image": batch[f"{x}_image"]}, 0) for x in ("real", "generated")]
    torch.testing.assert_close(module.confidence(*flat), expected)


def test_loss_is_the_squared_error_of_the_relation(data: Data) -> None:
    module = _module()
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = first_batch(data)
    loss = module.training_step(batch, 0)
    maps = module.real_branch(batch["real_image"]), module.made_branch(batch["generated_image"])
    gap = torch.sigmoid(module.relation(*maps)) - batch["same"]
    torch.testing.assert_close(loss, gap.square().mean())


def test_scores_are_mean_relations(data: Data) -> None:
    module = _module().eval()
    rows = data.benchmark.candidates("test")
    got = predicted(module, data, rows)
    partners = module._partners(data)
    assert len(partners) == 5
    assert set(partners) <= set(data.generated_rows)

    def images(wanted: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(data.benchmark.images(wanted))

    with torch.no_grad():
        real, made = module.real_branch(images(rows)), module.made_branch(images(partners))
        for number in (0, 3):
            left = real[number : number + 1].expand(len(made), -1, -1, -1)
            expected = torch.sigmoid(module.relation(left, made)).mean()
            np.testing.assert_allclose(got[number], expected, rtol=1e-4)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UserError, match=r"method\.partners=0"):
        _module(partners=0)
