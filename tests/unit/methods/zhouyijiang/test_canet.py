"""CANet's parts by hand, its loss, its decision, and its optimiser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting import first_batch, predicted, quiet_trainer
from planted import composed
from small import small_model
from torch.nn import functional as F

from gansfp.build import instantiate
from gansfp.data.pairs import ClassPairs
from gansfp.errors import UserError
from gansfp.features import backbones
from gansfp.methods.zhouyijiang.module import CANetModule, joint_scores
from gansfp.methods.zhouyijiang.network import CANet, LayerGate, depth_encoding

Data = Any


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "build_model", small_model)


@pytest.fixture
def data(membership: Data) -> Data:
    membership._sampling = ClassPairs(batch_size=8, steps_per_epoch=2)
    return membership


def _module(**options: Any) -> CANetModule:
    torch.manual_seed(0)
    return CANetModule(**{"weights": "none", "candidates": 4, "neighbours": 2, **options})


def test_a_layer_token_is_the_class_token_beside_the_mean_patch() -> None:
    module = _module().eval()
    images = torch.randint(0, 256, (2, 32, 32), dtype=torch.uint8)
    network = module.tokens.backbone.network
    seen = {}
    for number in (3, 6, 9):
        network.blocks[number - 1].register_forward_hook(
            lambda _m, _i, out, number=number: seen.__setitem__(number, out)
        )
    tokens = module.tokens(images)
    network.forward_features(module.tokens.backbone.prepare(images))
    assert tokens.shape == (2, 3, 128)
    for place, number in enumerate((3, 6, 9)):
        block = seen[number]
        expected = torch.cat([block[:, 0], block[:, 1:].mean(dim=1)], dim=1)
        torch.testing.assert_close(tokens[:, place], expected)


def test_only_blocks_that_count_are_trained() -> None:
    module = _module()
    named = dict(module.tokens.backbone.network.named_parameters())
    free = {name.split(".")[1] for name, p in named.items() if "blocks" in name and p.requires_grad}
    assert free == {str(number) for number in range(9)}
    assert named["patch_embed.proj.weight"].requires_grad
    assert not named["norm.weight"].requires_grad


def test_gate_weights_sum_to_one() -> None:
    gate = LayerGate(3, 16)
    tokens = torch.randn(5, 3, 16)
    fused, weights = gate(tokens)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(5))
    torch.testing.assert_close(fused, sum(weights[:, i : i + 1] * tokens[:, i] for i in range(3)))


def test_depths_are_told_apart() -> None:
    encoding = depth_encoding([0.25, 0.5, 0.75], 1536)
    assert encoding.shape == (3, 1536)
    torch.testing.assert_close(encoding[:, 0], (torch.pi * torch.tensor([0.25, 0.5, 0.75])).sin())
    assert torch.cdist(encoding, encoding)[~torch.eye(3, dtype=bool)].min() > 10
    assert (encoding.square().sum(dim=1) - 768).abs().max() < 1e-3


def test_three_stages_by_hand() -> None:
    torch.manual_seed(0)
    net = CANet([0.25, 0.5, 0.75], 16, heads=8).eval()
    torch.nn.init.normal_(net.position)
    torch.nn.init.uniform_(net.scale.weight, 0.5, 2)
    real, made = torch.randn(4, 3, 16), torch.randn(4, 3, 16)
    got = net(real, made)

    def stage(number: int, tokens: torch.Tensor, context: torch.Tensor) -> tuple:
        part = net.stages[number]
        seen, weights = part.attention(tokens, context, context)
        return part.norm(tokens + seen), weights

    left, right = net.scale(real), net.scale(made)
    cosines = torch.einsum("bid,bjd->bij", F.normalize(left, dim=2), F.normalize(right, dim=2))
    left, right = left + net.encoding + net.position[0], right + net.encoding + net.position[1]
    left, right = stage(0, left, left)[0], stage(0, right, right)[0]
    (left, weights), right = stage(1, left, right), stage(1, right, left)[0]
    torch.testing.assert_close(got.similarity, (weights * cosines).sum(2).mean(1))
    both = torch.cat([left, right], dim=1)
    both = stage(2, both, both)[0]
    fused = [net.gate(part)[0] for part in (both[:, :3], both[:, 3:])]
    heat = 0.05 + 0.15 * torch.sigmoid(net.heat(torch.cat(fused, dim=1)))[:, 0]
    logits = (F.cosine_similarity(*fused) - net.offset) / heat
    torch.testing.assert_close(got.logits, logits)
    assert all(stage.attention.num_heads == 8 for stage in net.stages)
    assert got.similarity.abs().max() <= 1


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_a_copy_is_more_similar_than_others_at_any_scale_of_the_tokens(size: float) -> None:
    torch.manual_seed(0)
    net = CANet([0.25, 0.5, 0.75], 64, heads=8).eval()
    tokens = size * torch.randn(20, 3, 64)
    copies, others = net(tokens, tokens), net(tokens, tokens.roll(1, 0))
    assert copies.similarity.min() > others.similarity.max()
    assert copies.logits.min() > others.logits.max()


def test_loss_is_cross_entropy_and_half_the_contrast(data: Data) -> None:
    trainer = quiet_trainer(max_steps=1)
    module = _module()
    batch = first_batch(data)
    expected = {}
    with torch.no_grad():
        found = module.network(*(module.tokens(batch[f"{n}_image"]) for n in ("real", "generated")))
        used = batch["same"]
        p = torch.sigmoid(found.logits)
        expected["train/entropy"] = -torch.where(used == 1, p, 1 - p).log().mean()
        vectors = torch.cat([found.real, found.synthetic])
        labels = torch.cat([used, torch.ones_like(used)])
        expected["train/supcon"] = module.contrast(vectors, labels)
    trainer.fit(module, data)
    logged = trainer.callback_metrics
    for name, value in expected.items():
        torch.testing.assert_close(logged[name], value, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        logged["train/loss"], logged["train/entropy"] + 0.5 * logged["train/supcon"]
    )


def test_joint_decision_by_hand() -> None:
    real = np.array([0, 0, 1, 1, 2])
    confidence = np.array([0.9, 0.4, 0.7, 0.8, 0.95])
    similarity = np.array([0.1, 0.6, 0.6, 0.7, 0.5])
    got = joint_scores(real, confidence, similarity, 0.5, 4)
    np.testing.assert_allclose(got, [0.4, 0.8, 0.0, 0.0])


def test_scores_are_confidences_whatever_the_order(data: Data) -> None:
    module = _module().eval()
    rows = data.benchmark.candidates("test")
    scores = predicted(module, data, rows)
    assert scores.shape == (9,)
    assert scores.max() > 0
    assert scores.min() >= 0
    assert scores.max() <= 1
    order = np.random.default_rng(0).permutation(len(rows))
    np.testing.assert_allclose(predicted(module, data, rows[order]), scores[order], atol=1e-6)


def test_optimiser_of_the_recipe(data: Data) -> None:
    module = instantiate(composed("table2/1803_canet", "method.weights=none").method)
    trainer = quiet_trainer(max_steps=1)
    trainer.fit(module, data)
    (optimiser,) = trainer.optimizers
    assert type(optimiser) is torch.optim.AdamW
    assert [group["initial_lr"] for group in optimiser.param_groups] == [1e-5, 1e-4]
    assert {group["weight_decay"] for group in optimiser.param_groups} == {0.05}
    listed = {id(p) for group in optimiser.param_groups for p in group["params"]}
    assert listed == {id(p) for p in module.parameters() if p.requires_grad}


def test_every_trained_parameter_takes_a_gradient(data: Data) -> None:
    module = _module()
    batch = first_batch(data)
    module.log_dict = lambda *_, **__: None
    module.training_step(batch, 0).backward()
    missing = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing


def test_impossible_values_name_their_key() -> None:
    with pytest.raises(UserError, match=r"method.layers=\[6, 12, 18\]: .* has blocks 1 to 12"):
        _module(layers=[6, 12, 18]).tokens(torch.zeros(1, 32, 32))
    with pytest.raises(UserError, match="take a vision transformer"):
        _module(backbone="resnet50")
    with pytest.raises(UserError, match=r"method.heads=7: must divide 128"):
        _module(heads=7)
