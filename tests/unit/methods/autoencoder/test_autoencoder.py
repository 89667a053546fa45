"""Autoencoders: layers of the published code, verdicts by definition, learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fitting import first_batch, predicted, quiet_trainer
from planted import composed
from small import small_model
from torch import nn

from gansfp.build import instantiate
from gansfp.data.generated import GeneratedImages, UnpairedImages
from gansfp.data.store import ImageStore
from gansfp.errors import UserError
from gansfp.features import backbones
from gansfp.features.handcrafted.descriptor import descriptors
from gansfp.methods.autoencoder.module import AutoencoderModule
from gansfp.methods.autoencoder.network import ConvAutoencoder, ViTAutoencoder
from gansfp.methods.clusters.algorithms import cluster
from gansfp.methods.forest.stage import Described, TwoForests

Data = Any
RUNS = {
    "1878": "1878_vit_autoencoder",
    "1880": "1880_conv_autoencoder",
    "1881": "1881_resnet_autoencoder",
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "build_model", small_model)


@pytest.fixture
def data(membership: Data) -> Data:
    membership._sampling = GeneratedImages(batch_size=10)
    return membership


def _module(**options: Any) -> AutoencoderModule:
    torch.manual_seed(0)
    small = {"size": 32, "latent": 16, "trees": 20, "second_trees": 10, "neighbours": 5}
    return AutoencoderModule(**{**small, **options})


@pytest.mark.parametrize("architecture", ["vit", "conv", "resnet"])
def test_restored_images_have_the_size_and_range_of_the_target(architecture: str) -> None:
    images = torch.randint(0, 256, (2, 40, 40), dtype=torch.uint8)
    network = _module(architecture=architecture, size=64).network
    latents, restored = network(images)
    target = network.target(images)
    assert latents.shape == (2, 16)
    assert restored.shape == target.shape == (2, 1 if architecture == "vit" else 3, 64, 64)
    low = -1 if architecture == "vit" else 0
    for values in (restored, target):
        assert values.min() >= low
        assert values.max() <= 1
    assert target.min() < low + 0.1


def test_layers_of_the_convolutional_autoencoders() -> None:
    for residual in (False, True):
        net = ConvAutoencoder(128, 512, residual)
        down = [m for m in net.encoder if isinstance(m, nn.Conv2d)]
        up = [m for m in net.decoder if isinstance(m, nn.ConvTranspose2d)]
        assert [m.out_channels for m in down] == [32, 64, 128, 256]
        assert {(m.kernel_size, m.stride) for m in down} == {((3, 3), (2, 2))}
        assert [m.out_channels for m in up] == [128, 64, 32]
        assert net.bottleneck.out_features == 512
        assert net.expand.out_features == 16 * 16 * 128
        assert net.decoder[-2].out_channels == 3
        assert isinstance(net.decoder[-1], nn.Sigmoid)
        slopes = {m.negative_slope for m in net.modules() if isinstance(m, nn.LeakyReLU)}
        assert slopes == {0.1}
        norms = sum(isinstance(m, nn.BatchNorm2d) for m in net.modules())
        assert norms == (14 if residual else 0)  # two in each of the seven blocks


def test_layers_of_the_transformer_autoencoder() -> None:
    net = ViTAutoencoder(size=256, latent=512)
    assert (net.colour.in_channels, net.colour.out_channels) == (1, 3)
    assert net.colour.kernel_size == (1, 1)
    assert net.expand.out_features == 16_384
    up = [m for m in net.decoder if isinstance(m, nn.ConvTranspose2d)]
    assert [m.in_channels for m in up] == [256, 128, 64, 32, 16]
    assert net.decoder[-2].in_channels == 8
    assert isinstance(net.decoder[-1], nn.Tanh)


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_loss_by_hand(data: Data, loss: str) -> None:
    module, batch = _module(loss=loss).eval(), first_batch(data)
    module.log = lambda *_, **__: None
    with torch.no_grad():
        gap = module.network(batch["image"])[1] - module.network.target(batch["image"])
        expected = gap.square().mean() if loss == "mse" else gap.abs().mean()
        torch.testing.assert_close(module.training_step(batch, 0), expected)


def test_it_learns_to_restore(data: Data) -> None:
    rows = data.generated_rows
    images = np.linspace(20, 235, len(rows))[:, None, None] * np.ones((8, 8))
    data.benchmark.store.pixels[rows] = images.astype(np.uint8)
    module = _module(architecture="conv", lr=3e-3)

    def error() -> float:
        module.eval()
        batch = {"image": torch.from_numpy(data.benchmark.images(rows))}
        with torch.no_grad():
            return module.predict_step(batch, 0)[:, -1].mean().item()

    before = error()
    quiet_trainer(max_epochs=20).fit(module, data)
    assert error() < before / 3


def test_clusters_by_definition(data: Data) -> None:
    benchmark = data.benchmark
    used = benchmark.rows("train", "real_used")
    pool = np.concatenate([benchmark.candidates("train"), benchmark.candidates("test")])
    bright = np.concatenate([used, benchmark.candidates("test")[::2]])
    for row in pool:
        level = 220 if row in bright else 30
        noise = np.random.default_rng(row).integers(-9, 10, (8, 8))
        benchmark.store.pixels[row] = np.clip(level + noise, 0, 255).astype(np.uint8)
    module = _module(verdict="clusters")
    rows = benchmark.candidates("test")
    got = predicted(module, data, rows)
    np.testing.assert_array_equal(got, np.isin(rows, bright))
    assert module.transductive
    assert module.uses_synthetic == "none"
    # The same clusters as those of the latents themselves.
    with torch.no_grad():
        images = torch.from_numpy(benchmark.images(np.sort(pool)))
        latents = module.eval().network.encode(images).double().numpy()
    labels = cluster(latents, "spectral", 2, 5, 42)
    mine = labels[np.searchsorted(np.sort(pool), rows)]
    assert (mine == got).all() or (mine == 1 - got).all()


def test_forests_by_definition(data: Data) -> None:
    large = data.benchmark.store.pixels.repeat(2, axis=1).repeat(2, axis=2)  # Gabor's kernel is 21
    data.__dict__["benchmark"] = replace(data.benchmark, store=ImageStore(large))
    module = _module(verdict="forests").eval()
    benchmark, rows = data.benchmark, data.benchmark.candidates("test")
    got = predicted(module, data, rows)

    def described(wanted: np.ndarray) -> Described:
        images = benchmark.images(wanted)
        with torch.no_grad():
            out = module.predict_step({"image": torch.from_numpy(images)}, 0).double().numpy()
        return Described(out[:, :-1], out[:, -1], descriptors(images))

    forests = TwoForests(20, 20, 10, 42)
    labelled = data.fit_rows
    forests.fit(described(labelled), benchmark.targets(labelled), described(data.generated_rows))
    np.testing.assert_allclose(got, forests.score(described(rows)), atol=0.15)
    assert module.uses_synthetic == "nearest"
    assert not module.transductive


def test_errors_are_those_of_the_restored_images(data: Data) -> None:
    module = _module().eval()
    images = torch.from_numpy(data.benchmark.images(np.arange(4)))
    with torch.no_grad():
        out = module.predict_step({"image": images}, 0)
        latents, restored = module.network(images)
    torch.testing.assert_close(out[:, :-1], latents)
    gap = restored - module.network.target(images)
    torch.testing.assert_close(out[:, -1], gap.square().flatten(1).mean(dim=1))


@pytest.mark.parametrize("run", RUNS)
def test_optimiser_of_the_recipes(run: str) -> None:
    module = instantiate(composed(f"table2/{RUNS[run]}").method)
    optimiser = module.configure_optimizers()
    assert type(optimiser) is torch.optim.Adam
    (group,) = optimiser.param_groups
    assert (group["lr"], group["weight_decay"]) == (1e-4, 0)
    assert len(group["params"]) == len(list(module.parameters()))


def test_sampling_of_synthetic_images(membership: Data) -> None:
    benchmark = membership.benchmark
    for split, count in (("train", 20), ("test", 10), ("both", 30)):
        plan = GeneratedImages(5, split).bind(benchmark, membership.fit_rows, 0)
        seen = np.concatenate([plan.batch(0, step)["row"] for step in range(len(plan))])
        expected = benchmark.rows(None if split == "both" else split, "generated")
        np.testing.assert_array_equal(np.sort(seen), expected)
        assert len(seen) == count
    batch = UnpairedImages(4).bind(benchmark, membership.fit_rows, 0).batch(0, 0)
    assert set(benchmark.labels(batch["real_row"])) == {"used"}
    assert set(benchmark.index.frame["role"].iloc[batch["row"]]) == {"generated"}
    with pytest.raises(UserError, match=r"data.sampling.split=all: choose both, train or test"):
        GeneratedImages(split="all")


def test_impossible_values_name_their_key() -> None:
    with pytest.raises(UserError, match=r"method.architecture=unet: choose vit, conv or resnet"):
        _module(architecture="unet")
    with pytest.raises(UserError, match=r"method.size=100: must be a multiple of 16"):
        _module(size=100)
    with pytest.raises(UserError, match=r"method.loss=ssim: choose mse, mae"):
        _module(loss="ssim")


def test_a_file_brings_the_weights_of_a_pretraining(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def build(name: str, weights: str = "none", seed: int = 0, num_classes: int = 1000) -> Any:
        asked.append((name, weights))
        return small_model(name, "none", 7 if weights != "none" else seed, num_classes)

    monkeypatch.setattr(backbones, "build_model", build)
    file = str(tmp_path / "chest.safetensors")
    module = _module(architecture="vit", weights=file, lr=0.0)
    quiet_trainer(max_steps=1).fit(module, data)
    assert asked[-1] == ("vit_base_patch16_224", file)
    expected = small_model("vit", seed=7, num_classes=0).state_dict()
    for name, value in module.network.backbone.network.state_dict().items():
        torch.testing.assert_close(value, expected[name])
