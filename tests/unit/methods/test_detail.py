"""The network for fine detail: its parts by definition, its training on what it is made for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting import first_batch, predicted, quiet_trainer
from torch.nn import functional as F

from gansfp.data.augment import Augment
from gansfp.data.augment.geometry import Flip
from gansfp.data.draws import batch_keys
from gansfp.data.pairs import Images
from gansfp.errors import UserError
from gansfp.methods.detail.mixing import mixed
from gansfp.methods.detail.module import DetailModule
from gansfp.methods.detail.network import DetailNetwork

CLASSES = ["t1", "t2"]
SMALL: dict[str, Any] = {"widths": (8, 8), "blocks": 1, "lr": 1e-2, "ema": 0.9, "dropout": 0.0}


@pytest.fixture
def checkered(datamodule) -> Any:
    """Noise with a faint checkerboard, or with lines as faint; real images have the same marks."""
    rng = np.random.default_rng(0)
    checks = np.indices((16, 16)).sum(axis=0) % 2 * 2 - 1
    marks = (checks, np.arange(16) % 2 * 2 - 1)

    def draw(n: int, kind: int) -> np.ndarray:
        return np.clip(128 + 10 * rng.normal(size=(n, 16, 16)) + 6 * marks[kind], 0, 255)

    parts = []
    for kind, name in enumerate(CLASSES):
        parts.append(("train", "real", name, draw(16, kind), None))
        parts.append(("train", "generated", name, draw(48, kind), None))
    parts += [("test", "generated_unknown", None, draw(30, kind), None) for kind in range(2)]

    def make(**settings: Any) -> Any:
        augment = Augment({"flip": Flip()})
        options = {"sampling": Images(32), "augment": augment, "fold": None, **settings}
        return datamodule("attribution", parts, CLASSES, **options)

    return make


def module(**settings: Any) -> DetailModule:
    torch.manual_seed(0)
    return DetailModule(CLASSES, **{**SMALL, **settings})


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_learns_detail_that_a_blur_would_erase(checkered, norm: str) -> None:
    data, method = checkered(), module(norm=norm)
    quiet_trainer(max_epochs=8).fit(method, data)
    found = predicted(method, data, data.benchmark.candidates("test"))
    assert (found.argmax(axis=1) == np.repeat([0, 1], 30)).mean() > 0.9


def test_pretraining_learns_to_denoise_and_leaves_labels_alone(checkered) -> None:
    data = checkered()
    method = module(pretrain_epochs=8, pretrain_on="all")
    head = method.network.head.weight.clone()
    trainer = quiet_trainer(max_epochs=8)
    trainer.fit(method, data)
    assert method.transductive
    assert torch.allclose(method.network.head.weight, head, rtol=0.05, atol=0.01)  # decay alone
    assert trainer.callback_metrics["train/pretrain_loss"] < 0.9  # 1: no better than zero noise
    assert not module(pretrain_epochs=1).transductive


def test_pretraining_sees_test_images_only_where_it_says_so(checkered) -> None:
    data = checkered()
    for kind, expected in (("train", 128), ("all", 188)):
        method = module(pretrain_epochs=1, pretrain_on=kind)
        quiet_trainer(limit_train_batches=1).fit(method, data)
        assert len(method._unlabelled) == expected


def test_the_average_follows_the_weights_by_its_decay(checkered) -> None:
    data, method = checkered(), module()
    before = method.network.stem.weight.detach().clone()
    quiet_trainer(limit_train_batches=1).fit(method, data)
    decay = min(0.9, 2 / 11)  # after the first step
    expected = decay * before + (1 - decay) * method.network.stem.weight
    torch.testing.assert_close(method.average.network.stem.weight, expected)


def test_real_images_count_as_much_as_they_should(checkered) -> None:
    data = checkered()
    method = module(mix="none", label_smoothing=0.0, real_weight=0.25, norm="group")
    quiet_trainer(limit_train_batches=0).fit(method, data)
    method.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = first_batch(data)
    real = torch.from_numpy(np.isin(batch["row"].numpy(), data.benchmark.rows(role="real")))
    assert 0 < real.sum() < 32
    losses = F.cross_entropy(method.network(batch["image"], real), batch["label"], reduction="none")
    expected = (losses[~real].sum() + 0.25 * losses[real].sum()) / (
        (~real).sum() + 0.25 * real.sum()
    )
    torch.testing.assert_close(method._loss(batch), expected)


def test_the_flag_tells_real_from_synthetic() -> None:
    torch.manual_seed(0)
    network, images = DetailNetwork(3, (8, 8), 1).eval(), torch.rand(4, 16, 16)
    flags = torch.tensor([False, False, True, True])
    found, plain = network(images, flags), network(images)
    torch.testing.assert_close(found[:2], plain[:2])
    assert (found[2:] - plain[2:]).abs().min() > 0


def test_bytes_and_floats_are_the_same_image() -> None:
    network, images = DetailNetwork(3, (8, 8), 1).eval(), torch.randint(256, (4, 16, 16)).byte()
    torch.testing.assert_close(network(images), network(images.float() / 255))


def test_mixtures_are_what_their_shares_say() -> None:
    images = torch.stack([torch.full((20, 20), float(n)) for n in range(6)])
    keys = batch_keys(0, 0, 0, 6)
    for kind in ("mixup", "cutmix"):
        found, own = mixed(images, keys, kind)
        expected = own * torch.arange(6.0) + (1 - own) * torch.arange(5.0, -1, -1)
        torch.testing.assert_close(found.mean(dim=(1, 2)), expected)
        assert torch.equal(found, mixed(images, keys, kind)[0])  # a function of the keys
        assert ((own >= 0) & (own <= 1)).all()
        assert own.unique().numel() > 3
    cut = mixed(images, keys, "cutmix")[0]
    assert all(set(image.unique().tolist()) <= {n, 5.0 - n} for n, image in enumerate(cut))
    assert torch.equal(mixed(images, keys, "none")[0], images)


def test_mixing_needs_numbers_to_draw(checkered) -> None:
    with pytest.raises(UserError, match=r"augment@data\.augment"):
        quiet_trainer().fit(module(), checkered(augment=None))


@pytest.mark.parametrize("key", ["norm", "mix", "keep", "pretrain_on"])
def test_unknown_choices_are_refused(key: str) -> None:
    with pytest.raises(UserError, match=f"method.{key}=odd"):
        module(**{key: "odd"})
