"""The twins: parts by hand, scores by definition, both kinds of tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting import first_batch, predicted, quiet_trainer
from planted import composed
from small import small_model
from torch import nn
from torch.nn import functional as F

from gansfp.build import instantiate
from gansfp.data.pairs import ClassPairs
from gansfp.errors import UserError
from gansfp.features import backbones
from gansfp.losses.angular import AngularLoss
from gansfp.methods.scope.module import TwinsModule
from gansfp.methods.scope.network import TwinHead, adaptive_similarity

Data = Any


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "build_model", small_model)


@pytest.fixture
def data(membership: Data) -> Data:
    membership._sampling = ClassPairs(batch_size=8, steps_per_epoch=2)
    return membership


def _module(**options: Any) -> TwinsModule:
    torch.manual_seed(0)
    small = {"weights": "none", "width": 16, "hidden": [8, 4], "partners": 5}
    return TwinsModule(**{**small, **options})


def test_adaptive_similarity_by_hand() -> None:
    u, v = torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0, 0.5]])
    preference = torch.log(torch.tensor([[3.0, 1.0]]))  # weights 3/4 and 1/4
    got = adaptive_similarity(u, v, preference)
    expected = torch.tensor([[0.75 * 2.0, 0.75 * 2.5, 0.25 * 3.0, 0.25 * -1.0]])
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(got[:, 2:].sum() / 0.25, (u @ v.T).squeeze())


@pytest.mark.parametrize("depth", [1, 2])
def test_head_by_hand(depth: int) -> None:
    torch.manual_seed(0)
    head = TwinHead(16, heads=8, depth=depth, hidden=[8, 4]).double()
    left = torch.randn(3, 5, 16, dtype=torch.float64)
    right = torch.randn(3, 5, 16, dtype=torch.float64)

    def attended(part: nn.MultiheadAttention, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        weights, biases = part.in_proj_weight.chunk(3), part.in_proj_bias.chunk(3)
        q, k, v = (F.linear(t, w, b) for t, w, b in zip((x, y, y), weights, biases, strict=True))
        q, k, v = (t.view(3, 5, 8, 2).transpose(1, 2) for t in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(3, 5, 16)
        return part.out_proj(mixed)

    x, y = left, right
    for part, norm in zip(head.attention, head.norms, strict=True):
        x, y = norm(x + attended(part, x, y)), norm(y + attended(part, y, x))
    u, v = x.mean(1), y.mean(1)
    features = adaptive_similarity(u, v, head.mix(torch.cat([u, v], 1)))
    got = head(left, right)
    torch.testing.assert_close(got.logits, head.classify(features)[:, 0])
    torch.testing.assert_close(got.left, u)


def test_one_key_is_a_linear_map_of_the_partner() -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(16, 8, batch_first=True)
    partner = torch.randn(4, 1, 16)
    outputs = [attention(torch.randn(4, 1, 16), partner, partner)[0] for _ in range(2)]
    torch.testing.assert_close(outputs[0], outputs[1])


def test_both_images_go_through_one_branch(data: Data) -> None:
    module, batch = _module().eval(), first_batch(data)
    with torch.no_grad():
        both = module.branch(torch.cat([batch["real_image"], batch["generated_image"]]))
        alone = module.branch(batch["generated_image"])
    torch.testing.assert_close(both[8:], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("backbone", "count"),
    [("resnet50", 1), ("efficientnet_b2", 1), ("vit_base_patch16_224", 16)],
)
def test_tokens_are_the_places(backbone: str, count: int) -> None:
    images = torch.randint(0, 256, (2, 32, 32), dtype=torch.uint8)
    assert _module(backbone=backbone).branch(images).shape == (2, count, 16)
    single = _module(backbone=backbone, tokens="global")
    assert single.branch(images).shape == (2, 1, 16)
    module = _module(backbone="resnet50", size=96).eval()
    map_ = module.branch.backbone.network.forward_features(module.branch.backbone.prepare(images))
    tokens = module.branch.backbone.tokens(images)
    assert tokens.shape[1] == 9
    torch.testing.assert_close(tokens[:, 5], map_[:, :, 1, 2])


def test_scores_are_mean_confidences(data: Data) -> None:
    module = _module().eval()
    rows = data.benchmark.candidates("test")[:3]
    got = predicted(module, data, rows)
    partners = module._partners(data)
    assert len(partners) == 5
    assert set(partners) <= set(data.generated_rows)
    images = torch.from_numpy(data.benchmark.images(np.concatenate([rows, partners])))
    with torch.no_grad():
        tokens = module.branch(images)
        for i in range(3):
            left = tokens[i : i + 1].expand(5, -1, -1)
            expected = torch.sigmoid(module.head(left, tokens[3:]).logits).mean().item()
            np.testing.assert_allclose(got[i], expected, rtol=1e-4)


@pytest.mark.parametrize("angular", [0.0, 0.5])
def test_loss_by_hand(data: Data, angular: float) -> None:
    module, batch = _module(angular=angular).eval(), first_batch(data)
    module.log = lambda *_, **__: None
    found = module.head(*(module.branch(batch[f"{n}_image"]) for n in ("real", "generated")))
    p, used = torch.sigmoid(found.logits), batch["same"]
    expected = -torch.where(used == 1, p, 1 - p).log().mean()
    cosine = F.cosine_similarity(found.left, found.right)
    expected = expected + angular * torch.where(used == 1, 1 - cosine, (cosine - 0.5).relu()).mean()
    torch.testing.assert_close(module.training_step(batch, 0), expected, rtol=1e-4, atol=1e-5)


def test_angular_loss_by_hand() -> None:
    left = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    right = torch.tensor([[0.0, 2.0], [3.0, 0.0], [1.0, 1.0]])
    got = AngularLoss(0.5)(left, right, torch.tensor([1, 0, 0]))
    torch.testing.assert_close(got, torch.tensor((1.0 + 0.5 + (0.5**0.5 - 0.5)) / 3))


def test_optimiser_of_the_recipe(data: Data) -> None:
    module = instantiate(composed("table2/1160_twins", "method.weights=none").method)
    optimiser = module.configure_optimizers()
    assert type(optimiser) is torch.optim.Adam
    (group,) = optimiser.param_groups
    assert (group["lr"], group["weight_decay"]) == (1e-4, 0)
    assert len(group["params"]) == len(list(module.parameters()))


def test_a_fit_moves_every_part(data: Data) -> None:
    module = _module(backbone="vit_base_patch16_224", lr=1e-2)
    before = {name: value.clone() for name, value in module.named_parameters()}
    quiet_trainer(max_epochs=1).fit(module, data)
    still = [n for n, value in module.named_parameters() if torch.equal(value, before[n])]
    assert not still


def test_impossible_values_name_their_key() -> None:
    with pytest.raises(UserError, match=r"method.tokens=cells: choose map or global"):
        _module(tokens="cells")
    with pytest.raises(UserError, match=r"method.heads=7"):
        _module(heads=7)
