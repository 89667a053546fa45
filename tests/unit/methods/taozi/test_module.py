"""taozi's module: its loss by hand, momentum network, optimisers, defects of the published code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fitting import first_batch, predicted, quiet_trainer
from planted import composed
from small import small_model
from torch.nn import functional as F

from gansfp.build import instantiate
from gansfp.data.augment import Augment, geometry
from gansfp.errors import UserError
from gansfp.features import backbones
from gansfp.methods.taozi.module import BUGS, TaoziModule
from gansfp.methods.taozi.sampling import CandidatePools

Data = Any
VIT = "vit_base_patch16_224"
EXPERTS = ["resnet50", "efficientnet_b0", VIT]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "build_model", small_model)


@pytest.fixture
def data(membership: Data) -> Data:
    membership._sampling = CandidatePools(batch_size=5, positives=2, negatives=3)
    membership._augment = Augment({"flip": geometry.Flip(0.5, 0.5)})
    return membership


def _module(**options: Any) -> TaoziModule:
    torch.manual_seed(0)
    small = {"weights": "none", "projector": [16, 8], "norm": "layer", "queue": 20, "width": 16}
    return TaoziModule(**{"experts": [VIT], **small, **options})


def _cosine_loss(
    query: np.ndarray, good: list[np.ndarray], bad: list[np.ndarray], heat: float
) -> float:
    top = np.exp(np.array([query @ x for x in good]) / heat).sum()
    return float(-np.log(top / (top + np.exp(np.array([query @ x for x in bad]) / heat).sum())))


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def test_hybrid_loss_by_hand(data: Data) -> None:
    module, batch = _module(alpha=0.7), first_batch(data)
    before = module.queue.keys.clone()
    loss, _ = module._hybrid(batch)
    fast, slow = module.network, module.slow  # equal still: nothing was trained
    terms = []
    for i in range(5):
        found = fast(batch["anchor_image"][i : i + 1])
        query, heat = _numpy(found.vectors[0]), found.temperatures.item()
        bad = [*_numpy(slow(batch["negative_image"][i]).vectors), *_numpy(before)]
        key = _numpy(fast(batch["key_image"][i : i + 1]).vectors)
        good = [*key, *_numpy(fast(batch["positive_image"][i]).vectors)]
        terms.append(_cosine_loss(query, good, bad, heat))
    np.testing.assert_allclose(loss.item(), np.mean(terms), rtol=1e-5)


def test_shares_of_the_hybrid_loss(data: Data) -> None:
    batch = first_batch(data)
    losses = {}
    for alpha in (0.0, 0.7, 1.0):
        module = _module(alpha=alpha, momentum=1.0)
        with torch.no_grad():
            for parameter in module.slow.parameters():
                parameter.mul_(0.5)
        losses[alpha] = module._hybrid(batch)[0].item()
    assert abs(losses[0.0] - losses[1.0]) > 1e-3
    np.testing.assert_allclose(losses[0.7], 0.7 * losses[1.0] + 0.3 * losses[0.0], rtol=1e-5)


def test_keys_are_of_the_moved_network_and_come_after_the_loss(data: Data) -> None:
    module, batch = _module(momentum=0.9), first_batch(data)
    with torch.no_grad():
        for parameter in module.network.parameters():
            parameter.add_(0.01)
    slow = {name: value.clone() for name, value in module.slow.named_parameters()}
    before = module.queue.keys.clone()
    module._hybrid(batch)
    for name, value in module.slow.named_parameters():
        fast = dict(module.network.named_parameters())[name]
        torch.testing.assert_close(value, 0.9 * slow[name] + 0.1 * fast)
    keys = module.slow(batch["key_image"]).vectors
    torch.testing.assert_close(module.queue.keys[:5], keys, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(module.queue.keys[5:], before[5:])


def test_momentum_network_takes_no_gradient(data: Data) -> None:
    module = _module()
    module._hybrid(first_batch(data))[0].backward()
    assert all(parameter.grad is None for parameter in module.slow.parameters())
    assert all(parameter.grad is not None for parameter in module.network.projector.parameters())
    assert all(parameter.grad is not None for parameter in module.network.heat.parameters())


def test_each_anchor_has_its_own_temperature(data: Data) -> None:
    images = torch.from_numpy(data.benchmark.images(np.arange(12)))
    for module in (_module(), _module(temperature_hidden=[16])):
        found = module.network(images)
        assert len(found.temperatures.unique()) == 12
        assert found.temperatures.min() >= 0.05
        assert found.temperatures.max() <= 0.2
    fixed = _module(temperature=0.1).network(images)
    torch.testing.assert_close(fixed.temperatures, torch.full((12,), 0.1))


def test_early_runs_have_their_own_negatives_alone(data: Data) -> None:
    module, batch = _module(queue=0, temperature=0.1), first_batch(data)
    assert module.slow is None
    loss, _ = module._plain(batch)
    terms = []
    for i in range(5):
        embed = [
            _numpy(module.network(batch[f"{name}_image"][i].view(-1, 8, 8)).vectors)
            for name in ("anchor", "positive", "negative")
        ]
        terms.append(_cosine_loss(embed[0][0], [*embed[1]], [*embed[2]], 0.1))
    np.testing.assert_allclose(loss.item(), np.mean(terms), rtol=1e-5)


def test_gate_entropy_is_in_the_loss(data: Data) -> None:
    quiet_trainer(max_steps=1).fit(module := _module(experts=EXPERTS, entropy=0.1), data)
    assert module.trainer.callback_metrics["train/gate_entropy"] <= np.log(3)
    batch = first_batch(data)
    losses = []
    for weight in (0.0, 0.5):
        module = _module(experts=EXPERTS, entropy=weight).eval()
        module.log = lambda *_, **__: None
        losses.append(module.training_step(batch, 0))
        gates = module.network(batch["anchor_image"]).gates
    assert losses[1] > losses[0]
    assert (losses[1] - losses[0]) < 0.5 * np.log(3) + 1e-6
    assert gates.shape == (5, 3)


def test_optimiser_of_the_recipes() -> None:
    for run, slow_rate in (("1875_moco", 3e-4), ("1874_experts", 3e-5), ("1107_infonce", 3e-4)):
        config = composed(f"table2/{run}", "method.weights=none", "method.queue=8")
        module = instantiate(config.method)
        built = module.configure_optimizers()
        optimiser = built["optimizer"] if isinstance(built, dict) else built
        assert type(optimiser) is torch.optim.AdamW
        assert [group["lr"] for group in optimiser.param_groups] == [slow_rate, 3e-4]
        assert {group["weight_decay"] for group in optimiser.param_groups} == {1e-4}
        listed = [id(p) for group in optimiser.param_groups for p in group["params"]]
        assert sorted(listed) == sorted(id(p) for p in module.network.parameters())
        backbones = {id(p) for p in module.network.encoder.experts.parameters()}
        assert backbones == {id(p) for p in optimiser.param_groups[0]["params"]}
        if run == "1107_infonce":
            assert built["lr_scheduler"].T_max == 100


class TestDefects:
    def test_all_are_off_in_the_recipes(self) -> None:
        for run in ("1875_moco", "1874_experts", "1107_infonce", "1169_moco_efficientnet"):
            assert composed(f"table2/{run}").method.faithful_bugs == []
        with pytest.raises(UserError, match=r"method.faithful_bugs=labels: choose labels_unused"):
            _module(faithful_bugs=["labels"])

    def test_labels_unused(self, data: Data) -> None:
        batch = first_batch(data)
        other = {**batch}
        for name in ("positive_image", "negative_image"):
            other[name] = 1 - batch[name]
        for bugs, equal in (([], False), (["labels_unused"], True)):
            losses = [_module(faithful_bugs=bugs)._hybrid(b)[0].item() for b in (batch, other)]
            assert (losses[0] == losses[1]) == equal

    def test_mean_temperature(self, data: Data) -> None:
        batch = first_batch(data)
        losses = []
        for bugs in ([], ["mean_temperature"]):
            module = _module(faithful_bugs=bugs)
            with torch.no_grad():
                module.network.heat[-1].weight.mul_(50)
            losses.append(module._hybrid(batch)[0].item())
        assert losses[0] != losses[1]

    def test_unnormalised_online(self, data: Data) -> None:
        batch = first_batch(data)
        losses = [
            _module(faithful_bugs=bugs)._hybrid(batch)[0].item()
            for bugs in ([], ["unnormalised_online"])
        ]
        assert losses[1] != losses[0]
        network = _module().network
        free = network(batch["anchor_image"], unit=False).vectors
        torch.testing.assert_close(F.normalize(free, dim=1), network(batch["anchor_image"]).vectors)

    def test_random_adapters(self) -> None:
        module = _module(experts=EXPERTS, faithful_bugs=["random_adapters"])
        listed = {
            id(p) for group in module.configure_optimizers().param_groups for p in group["params"]
        }
        adapters = {id(p) for p in module.network.encoder.fusion.adapters.parameters()}
        assert adapters
        assert not adapters & listed

    def test_momentum_shortcut(self, data: Data) -> None:
        images = torch.from_numpy(data.benchmark.images(np.arange(4)))
        module = _module(experts=EXPERTS, faithful_bugs=["momentum_shortcut"]).eval()
        got = module.predict_step({"image": images}, 0)
        torch.testing.assert_close(got, module.slow(images, attend=False).vectors)
        assert not torch.allclose(got, module.slow(images).vectors)

    def test_no_wraparound(self, data: Data) -> None:
        # 20 places, batches of 5, 4 steps an epoch: the fifth step finds no room.
        module = _module(faithful_bugs=["no_wraparound"])
        trainer = quiet_trainer(max_epochs=5)
        trainer.fit(module, data)
        assert trainer.global_step == 4
        trainer = quiet_trainer(max_epochs=3)
        trainer.fit(_module(), data)
        assert trainer.global_step == 12

    def test_every_defect_is_documented(self) -> None:
        import gansfp.methods.taozi as package

        text = (Path(package.__path__[0]) / "README.md").read_text()
        assert all(f"`{bug}`" in text for bug in BUGS)


def test_scores_by_definition(data: Data) -> None:
    module = _module().eval()
    rows = data.benchmark.candidates("test")
    got = predicted(module, data, rows)
    with torch.no_grad():
        real, made = (
            _numpy(module.slow(torch.from_numpy(data.benchmark.images(r))).vectors)
            for r in (rows, data.generated_rows)
        )
    np.testing.assert_allclose(got, (real @ made.T).max(axis=1), atol=1e-5)


def test_a_checkpoint_needs_no_pretrained_weights(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def build(name: str, weights: str = "none", seed: int = 0, num_classes: int = 1000) -> Any:
        asked.append(weights)
        return small_model(name, "none", 7 if weights == "imagenet" else seed, num_classes)

    monkeypatch.setattr(backbones, "build_model", build)
    module = _module(weights="imagenet", lr=0.0, backbone_lr=0.0)
    trainer = quiet_trainer(max_steps=2)
    trainer.fit(module, data)
    assert asked.count("imagenet") == 1
    pretrained = small_model(VIT, seed=7, num_classes=0).state_dict()
    for network in (module.network, module.slow):  # the momentum network starts as a copy
        for name, value in network.encoder.experts[0].network.state_dict().items():
            torch.testing.assert_close(value, pretrained[name])
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    rows = data.benchmark.candidates("test")
    expected = predicted(module, data, rows)
    loaded = TaoziModule.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    np.testing.assert_array_equal(predicted(loaded, data, rows), expected)
    quiet_trainer(max_steps=3).fit(
        loaded, data, ckpt_path=tmp_path / "last.ckpt", weights_only=True
    )
    assert asked.count("imagenet") == 1
