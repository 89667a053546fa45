"""DCLGAN as a method: layers, one step of both networks, overlap of attention."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fitting import predicted, quiet_trainer
from torch import nn

from gansfp.data.generated import UnpairedImages
from gansfp.data.store import ImageStore
from gansfp.errors import UserError
from gansfp.methods.dclgan.attention import overlap
from gansfp.methods.dclgan.module import BUGS, DCLGANModule
from gansfp.methods.dclgan.network import (
    PatchDiscriminator,
    PatchProjection,
    Translator,
    attention_map,
)

Data = Any


@pytest.fixture
def data(membership: Data) -> Data:
    large = membership.benchmark.store.pixels.repeat(4, axis=1).repeat(4, axis=2)
    membership.__dict__["benchmark"] = type(membership.benchmark)(
        "membership", membership.benchmark.index, ImageStore(large)
    )
    membership._sampling = UnpairedImages(batch_size=5)
    return membership


def _module(**options: Any) -> DCLGANModule:
    torch.manual_seed(0)
    small = {"width": 4, "blocks": 2, "projection": 8, "patches": 6, "map_side": 8}
    return DCLGANModule(**{**small, **options})


def test_layers_of_the_published_networks() -> None:
    generator, discriminator = Translator(64, 6), PatchDiscriminator(64)
    first, second, third, _ = generator.encoder
    assert [m.out_channels for p in (first, second, third) for m in p if isinstance(m, nn.Conv2d)] \
        == [64, 128, 256]  # fmt: skip
    assert first[1].kernel_size == (7, 7)
    assert second[0].stride == third[0].stride == (2, 2)
    blocks = [m for m in generator.modules() if type(m).__name__ == "Residual"]
    assert len(blocks) == 6
    assert {m.mode for m in generator.modules() if isinstance(m, nn.Upsample)} == {"bilinear"}
    assert isinstance(generator.decoder[-1], nn.Tanh)
    assert [m.out_channels for m in discriminator.layers] == [64, 128, 256, 512]
    assert discriminator.last.out_channels == 1
    assert {m.kernel_size for m in discriminator.layers} == {(4, 4)}
    for layer in [*discriminator.layers, discriminator.last]:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2) < 1.5
    images = torch.rand(1, 1, 64, 64) * 2 - 1
    assert generator(images)[0].shape == images.shape
    assert discriminator(images)[0].shape == (1, 1, 6, 6)  # of 70 pixels each, as PatchGAN's


def test_patches_are_those_of_the_places() -> None:
    project = PatchProjection([3], 5)
    maps = torch.randn(2, 3, 4, 4)
    (got,) = project([maps], [torch.tensor([0, 7])])
    expected = project.heads[0](maps[:, :, 1, 3])
    torch.testing.assert_close(got[:, 1], nn.functional.normalize(expected, dim=1))


def test_a_step_moves_both_networks_and_counts_once(data: Data) -> None:
    module = _module()
    before = {name: value.clone() for name, value in module.named_parameters()}
    trainer = quiet_trainer(max_epochs=2)
    trainer.fit(module, data)
    assert trainer.global_step == 8  # 20 synthetic images, 5 a batch, two epochs
    still = {n for n, value in module.named_parameters() if torch.equal(value, before[n])}
    # Instance norm takes the mean away, so that biases before it never matter.
    assert not {name for name in still if not name.endswith("bias")}
    logged = trainer.callback_metrics
    assert np.isfinite([logged["train/loss"], logged["train/discriminator"]]).all()


def test_rates_by_epoch(data: Data) -> None:
    module = _module(cosine_epochs=4, discriminator_step=1, lr=1e-3, discriminator_lr=4e-3)
    trainer = quiet_trainer(max_epochs=2)
    trainer.fit(module, data)
    rates = [optimiser.param_groups[0]["lr"] for optimiser in trainer.optimizers]
    np.testing.assert_allclose(rates, [0.5e-3, 1e-3])  # half a cosine of four; halved twice
    assert [o.param_groups[0]["betas"] for o in trainer.optimizers] == [(0.5, 0.9), (0.5, 0.999)]


def test_generator_loss_is_the_weighted_sum(data: Data) -> None:
    torch.manual_seed(1)
    real, made = (torch.rand(2, 1, 32, 32) * 2 - 1 for _ in range(2))
    names = ("adversarial", "nce", "matching", "grey")

    def loss(**weights: float) -> float:
        module = _module(loss_weights=weights).eval()
        translated, maps = module.generator(made)
        return module.generator_loss(
            real, translated, maps, torch.Generator().manual_seed(0)
        ).item()

    nothing = dict.fromkeys(names, 0.0)
    alone = [loss(**{**nothing, name: 1.0}) for name in names]
    assert all(value > 0 for value in alone)
    expected = 1 * alone[0] + 2 * alone[1] + 5 * alone[2] + 1 * alone[3]
    np.testing.assert_allclose(loss(), expected, rtol=1e-5)


def test_the_published_histogram_takes_no_gradient() -> None:
    torch.manual_seed(1)
    real, made = (torch.rand(2, 1, 32, 32) * 2 - 1 for _ in range(2))
    nothing = {"adversarial": 0.0, "nce": 0.0, "matching": 0.0, "grey": 1.0}
    slopes = []
    for bugs in ([], ["constant_histogram"]):
        module = _module(loss_weights=nothing, faithful_bugs=bugs)
        translated, maps = module.generator(made)
        translated.retain_grad()
        module.generator_loss(real, translated, maps, torch.Generator().manual_seed(0)).backward()
        slopes.append(translated.grad.abs().sum().item())
    assert slopes[0] > 0
    assert slopes[1] == 0


def test_overlap_by_hand() -> None:
    maps = np.array([[9.0, 8, 1, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 8, 9, 0, 0.0]])
    other = np.array([[7.0, 1, 6, 0, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(overlap(maps, other, 0.2), [1 / 3, 0])


def test_attention_by_hand() -> None:
    maps = [torch.tensor([[[[1.0, -3.0], [0.0, 1.0]], [[1.0, 1.0], [0.0, -3.0]]]])]
    torch.testing.assert_close(attention_map(maps, 2)[0], torch.tensor([[0.5, 1.0], [0.0, 1.0]]))


def test_scores_by_definition(data: Data) -> None:
    module = _module().eval()
    rows = data.benchmark.candidates("test")
    got = predicted(module, data, rows)

    def attention(wanted: np.ndarray) -> np.ndarray:
        batch = {"image": torch.from_numpy(data.benchmark.images(wanted))}
        with torch.no_grad():
            return module.predict_step(batch, 0).double().numpy()

    mean = attention(data.generated_rows).mean(axis=0, keepdims=True)
    expected = overlap(attention(rows), mean, 0.2)
    np.testing.assert_allclose(got, expected, atol=0.1)
    assert got.max() <= 1


def test_impossible_values_name_their_key_and_defects_are_documented() -> None:
    with pytest.raises(UserError, match=r"method.loss_weights.hu: choose adversarial"):
        _module(loss_weights={"hu": 1.0})
    with pytest.raises(UserError, match=r"method.share=2"):
        _module(share=2)
    import gansfp.methods.dclgan as package

    text = (Path(package.__path__[0]) / "README.md").read_text()
    assert all(f"`{bug}`" in text for bug in BUGS)
