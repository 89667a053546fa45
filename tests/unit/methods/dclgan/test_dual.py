"""DCLGAN in both directions: networks, one direction's loss by hand, a step, rates, scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting import predicted, quiet_trainer

from gansfp.data.generated import UnpairedImages
from gansfp.data.store import ImageStore
from gansfp.losses.dclgan import hinge
from gansfp.methods.dclgan.attention import overlap
from gansfp.methods.dclgan.dual import DualDCLGANModule, discriminator_loss

Data = Any


@pytest.fixture
def data(membership: Data) -> Data:
    large = membership.benchmark.store.pixels.repeat(4, axis=1).repeat(4, axis=2)
    membership.__dict__["benchmark"] = type(membership.benchmark)(
        "membership", membership.benchmark.index, ImageStore(large)
    )
    membership._sampling = UnpairedImages(batch_size=10)
    return membership


def _module(**options: Any) -> DualDCLGANModule:
    torch.manual_seed(0)
    small = {"width": 4, "blocks": 3, "projection": 8, "patches": 6, "map_side": 8}
    return DualDCLGANModule(**{**small, **options})


def test_networks_of_the_paper() -> None:
    module = _module(blocks=9)
    for way in (module.forth, module.back):
        blocks = [m for m in way.generator.modules() if type(m).__name__ == "Residual"]
        assert len(blocks) == 9
    weights = module.forth.generator.encoder[1][0].weight
    inside, outside = 4 * 9, 8 * 9
    expected = 0.02 * np.sqrt(2 / (inside + outside))  # Xavier's normal rule
    assert weights.std().item() == pytest.approx(expected, rel=0.2)
    sides = {id(p) for p in module.forth.parameters()} & {id(p) for p in module.back.parameters()}
    assert not sides


def test_hinge_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.5], [-3.0, 1.0]])
    assert hinge(logits, True).item() == pytest.approx((0 + 0.5 + 4 + 0) / 4)
    assert hinge(logits, False).item() == pytest.approx((3 + 1.5 + 0 + 2) / 4)


def test_a_directions_loss_by_hand() -> None:
    """Keys: the way's encoder and projection on what went in; queries: the other way's."""
    torch.manual_seed(1)
    source, target = (torch.rand(2, 1, 32, 32) * 2 - 1 for _ in range(2))
    module = _module(patches=10_000, nce=3.0, identity=0.7)  # all patches
    way, other = module.forth, module.back
    with torch.no_grad():
        fake, maps = way.generator(source)
        chance = torch.Generator().manual_seed(0)
        got = module.direction_loss(way, other, target, fake, maps, chance)
        contrast = []
        layers = zip(
            way.generator.features(source),
            other.generator.features(fake),
            way.projection.heads,
            other.projection.heads,
            strict=True,
        )
        for true, false, head, other_head in layers:
            key, query = (
                torch.nn.functional.normalize(h(x.flatten(2).transpose(1, 2)), dim=2)
                for h, x in ((head, true), (other_head, false))
            )
            likeness = query @ key.transpose(1, 2) / 0.07
            contrast.append(-likeness.log_softmax(2).diagonal(dim1=1, dim2=2).mean())
        expected = (
            -way.discriminator(fake)[0].mean()
            + 3.0 * torch.stack(contrast).mean()
            + 0.7 * (way.generator(target)[0] - target).abs().mean()
        )
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


def test_a_discriminators_loss_by_hand() -> None:
    module, images = _module(), torch.rand(2, 1, 32, 32)
    judge = module.judge().eval()
    with torch.no_grad():
        scores = judge(images)[0]
        expected = (torch.relu(1 - scores).mean() + torch.relu(1 + scores).mean()) / 2
        torch.testing.assert_close(discriminator_loss(judge, images, images), expected)


def test_a_step_moves_all_networks_and_counts_once(data: Data) -> None:
    module = _module()
    before = {name: value.clone() for name, value in module.named_parameters()}
    trainer = quiet_trainer(max_epochs=2)
    trainer.fit(module, data)
    assert trainer.global_step == 4  # 20 synthetic images, 10 a batch, two epochs
    still = {n for n, value in module.named_parameters() if torch.equal(value, before[n])}
    assert not {name for name in still if not name.endswith("bias")}
    logged = trainer.callback_metrics
    assert np.isfinite([logged["train/loss"], logged["train/discriminator"]]).all()


def test_rates_by_epoch(data: Data) -> None:
    module = _module(steady_epochs=1, decay_epochs=3, lr=1e-3)
    rates = []
    for epochs in (1, 2, 3):
        trainer = quiet_trainer(max_epochs=epochs, limit_train_batches=1)
        trainer.fit(module, data)
        rates.append([optimiser.param_groups[0]["lr"] for optimiser in trainer.optimizers])
    np.testing.assert_allclose(rates, [[0.75e-3] * 2, [0.5e-3] * 2, [0.25e-3] * 2])
    assert trainer.optimizers[0].param_groups[0]["betas"] == (0.5, 0.999)


def test_scores_by_the_discriminator_of_real_images(data: Data) -> None:
    module = _module().eval()
    rows = data.benchmark.candidates("test")
    got = predicted(module, data, rows)
    assert module.judge() is module.forth.discriminator

    def attention(wanted: np.ndarray) -> np.ndarray:
        batch = {"image": torch.from_numpy(data.benchmark.images(wanted))}
        with torch.no_grad():
            return module.predict_step(batch, 0).double().numpy()

    mean = attention(data.generated_rows).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(got, overlap(attention(rows), mean, 0.2), atol=0.1)
