"""Encoders of the data at hand: what they learn, what is compared, and the swapped generator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting import first_batch, predicted, quiet_trainer
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from gansfp.data.generated import BothKinds
from gansfp.errors import UserError
from gansfp.features.ssim import ssim_matrix
from gansfp.methods.distance.estimator import DistanceEstimator
from gansfp.methods.encoder.module import EncoderModule
from gansfp.methods.encoder.network import Bottleneck, Encoder, noised

Make = Any


def textures(n: int, seed: int, size: int = 32) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(n, size, size))
    grey = 128 + 120 * gaussian_filter(noise, (0, 2, 2)) / 0.14 / 3
    return grey.clip(0, 255).astype(np.uint8)


@pytest.fixture
def make(datamodule: Make) -> Any:
    """Members' copies are inverted in brightness by a little and noisy; others are not copied."""

    def built(copied: bool = True, pool: Any = "all") -> Any:
        used, unused = textures(40, 0), textures(40, 1)
        noise = np.random.default_rng(2).normal(0, 25, used.shape)
        copies = np.clip(used + noise, 0, 255).astype(np.uint8) if copied else textures(40, 3)
        return datamodule(
            "membership",
            [
                ("train", "generated", None, np.concatenate([copies, textures(24, 4)]), None),
                ("train", "real_used", "used", used[:20], None),
                ("train", "real_not_used", "not_used", unused[:20], None),
                ("test", "generated", None, textures(16, 5), None),
                ("test", "real_unknown", None, np.concatenate([used[20:], unused[20:]]), None),
            ],
            fold=None,
            sampling=BothKinds(batch_size=16, pool=pool),
        )

    return built


def small(objective: Any, **options: Any) -> EncoderModule:
    torch.manual_seed(0)
    chosen = {"width": 8, "dim": 32, "lr": 3e-3, "k_pool": 1, **options}
    return EncoderModule(objective=objective, **chosen)


def test_a_batch_is_half_synthetic_and_reads_test_images_only_where_it_may(make: Any) -> None:
    for pool, roles in (("labelled", {"real_used", "real_not_used"}), ("all", None)):
        data = make(pool=pool)
        role = data.benchmark.index.frame["role"].to_numpy()
        real, made = set(), set()
        loader = data.train_dataloader()
        for epoch in range(4):
            loader.sampler.set_epoch(epoch)
            for batch in loader:
                assert len(batch["row"]) == len(batch["real_row"])
                real |= set(role[batch["real_row"].numpy()])
                made |= set(role[batch["row"].numpy()])
        assert made == {"generated"}
        assert real == (roles or {"real_used", "real_not_used", "real_unknown"})
        assert data.transductive == (pool == "all")
    with pytest.raises(UserError, match=r"data.sampling.pool=test"):
        BothKinds(pool="test")  # type: ignore[arg-type]


def test_noise_is_that_of_a_diffusion() -> None:
    images = torch.full((400, 16, 16), 0.8)
    found = 2 * noised(images, torch.arange(400), 0.6) - 1
    sigma = found.std(dim=(1, 2))
    assert 0.05 < sigma.min() < 0.1
    assert 0.55 < sigma.max() < 0.66
    torch.testing.assert_close(found.mean((1, 2)), 0.6 * (1 - sigma**2).sqrt(), atol=0.15, rtol=0)
    torch.testing.assert_close(noised(images, torch.arange(400), 0.6), (found + 1) / 2)


def test_vectors_have_unit_length_and_copies_the_images_shape() -> None:
    images = torch.rand(3, 24, 32)
    vectors = Encoder(4, 10)(images)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert vectors.shape == (3, 10)
    assert Bottleneck(4, 2)(images).shape == images.shape


@pytest.mark.parametrize("objective", ["noised", "autoencoded"])
def test_learns_to_find_noisy_copies(make: Any, objective: str) -> None:
    data, module = make(), small(objective)
    rows = data.benchmark.candidates("test")
    truth = np.repeat([1, 0], 20)
    before = roc_auc_score(truth, predicted(module, data, rows))
    quiet_trainer(max_epochs=8).fit(module, data)
    scores = predicted(module, data, rows)
    assert roc_auc_score(truth, scores) > max(0.9, before - 0.02)
    np.testing.assert_allclose(predicted(module, data, rows[::-1]), scores[::-1])
    # The control: another generator's samples, everything else the same.
    other, control = make(copied=False), small(objective)
    quiet_trainer(max_epochs=8).fit(control, other)
    lost = roc_auc_score(truth, predicted(control, other, rows))
    assert abs(lost - 0.5) < 4 * 0.092


def test_contrastive_learning_brings_a_noised_copy_next_to_its_image(make: Any) -> None:
    data, module = make(), small("noised")
    images = torch.from_numpy(textures(60, 9)) / 255.0
    copies = noised(images, torch.arange(60), 0.9)

    def found() -> float:
        with torch.no_grad():
            one, two = module.encoder(images), module.encoder(copies)
        return float(((one @ two.T).argmax(dim=1) == torch.arange(60)).float().mean())

    before = found()
    quiet_trainer(max_epochs=10).fit(module, data)
    assert found() > before + 0.1


def test_the_cosine_learns_the_structural_similarity(make: Any) -> None:
    data, module = make(), small("ssim")
    images = textures(30, 9)
    mixed = np.concatenate([images, (0.7 * images + 0.3 * images[::-1]).astype(np.uint8)])
    wanted = ssim_matrix(mixed, mixed)[np.triu_indices(60, 1)]

    def error() -> tuple[float, float]:
        with torch.no_grad():
            vectors = module.encoder(torch.from_numpy(mixed) / 255.0).numpy()
        cosine = (vectors @ vectors.T)[np.triu_indices(60, 1)]
        return float(np.square(cosine - wanted).mean()), float(spearmanr(cosine, wanted).statistic)

    before = error()[0]
    quiet_trainer(max_epochs=5).fit(module, data)
    after, rank = error()
    assert after < before / 2
    assert rank > 0.2


@pytest.mark.parametrize("statistic", ["nearest", "reference_ratio", "vote_margin", "dpi", "count"])
def test_embeddings_are_compared_as_any_representation(make: Any, statistic: Any) -> None:
    data, module = make(), small("noised", statistic=statistic, k=3, k_pool=2)
    module.eval()

    class Embedded:
        def encode(self, images: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return module.encoder(torch.from_numpy(np.array(images)) / 255.0).numpy()

    rows = data.benchmark.candidates("test")
    like = DistanceEstimator(Embedded(), statistic=statistic, k=3, k_pool=2)  # type: ignore[arg-type]
    expected = like.fit(data).predict(data, rows)
    np.testing.assert_allclose(predicted(module, data, rows), expected, rtol=1e-3, atol=1e-4)


def test_synthetic_and_real_images_are_treated_alike(make: Any) -> None:
    data = make()
    batch = first_batch(data)
    swapped = {
        "row": batch["real_row"], "image": batch["real_image"],
        "real_row": batch["row"], "real_image": batch["image"],
    }  # fmt: skip
    for objective in ("autoencoded", "ssim"):
        module = small(objective)
        module.log = lambda *_, **__: None  # type: ignore[method-assign]
        losses = [module.training_step(one, 0) for one in (batch, swapped)]
        torch.testing.assert_close(losses[0], losses[1], rtol=0.05, atol=0.02)


def test_what_does_not_fit_is_named() -> None:
    for options, message in (
        ({"objective": "moco"}, "method.objective=moco: choose noised, autoencoded, ssim"),
        ({"statistic": "cosine"}, "method.statistic=cosine"),
        ({"pool": "test"}, "method.pool=test: choose all, labelled"),
        ({"noise": 1.5}, "method.noise=1.5"),
    ):
        with pytest.raises(UserError, match=message):
            EncoderModule(**options)  # type: ignore[arg-type]
    assert EncoderModule(pool="all").transductive
    assert not EncoderModule(pool="labelled").transductive
