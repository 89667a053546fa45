"""Networks a fold: who learns from whom, hidden squares and crops, and what is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting import first_batch, predicted, quiet_trainer
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

from gansfp.data.generated import AgainstOutsiders
from gansfp.errors import UserError
from gansfp.methods.crossfit import folds_of
from gansfp.methods.discriminator.module import DiscriminatorModule, two_kinds_loss
from gansfp.methods.discriminator.network import even_crops, random_crops
from gansfp.methods.inpainting.module import InpaintingModule
from gansfp.methods.inpainting.network import Inpainter, balanced_masks, hidden_squares
from gansfp.methods.keys import exclusion_keys

Make = Any

SMALL = {
    "discriminator": lambda: DiscriminatorModule(crop=8, grid=2, width=4, stages=2, folds=3),
    "inpainting": lambda: InpaintingModule(image_size=16, square=4, masks=4, width=8, folds=3),
}


@pytest.fixture
def data(datamodule: Make) -> Any:
    """16x16: synthetic images and members have stripes, others noise; 12 patients not used."""
    rng = np.random.default_rng(0)

    def striped(n: int) -> np.ndarray:
        return rng.integers(0, 256, (n, 4, 1)).repeat(4, axis=1).repeat(16, axis=2)

    def noise(n: int) -> np.ndarray:
        return rng.integers(0, 256, (n, 16, 16))

    patients = [f"q{number // 2}" for number in range(24)]
    return datamodule(
        "membership",
        [
            ("train", "generated", None, striped(40), None),
            ("train", "real_used", "used", striped(10), None),
            ("train", "real_not_used", "not_used", noise(24), patients),
            ("test", "generated", None, striped(24), None),
            ("test", "real_unknown", None, np.concatenate([striped(10), noise(10)]), None),
        ],
        fold=None,
        sampling=AgainstOutsiders(batch_size=16),
    )


def test_batches_hold_both_kinds_and_no_used_image(data: Any) -> None:
    batch = first_batch(data)
    assert len(batch["image"]) == len(batch["outsider_image"]) == 16
    roles = data.benchmark.index.frame["role"].to_numpy()
    assert set(roles[batch["row"].numpy()]) == {"generated"}
    assert set(roles[batch["outsider_row"].numpy()]) == {"real_not_used"}


@pytest.mark.parametrize("kind", SMALL)
def test_what_the_synthetic_images_teach_is_found(data: Any, kind: str) -> None:
    torch.manual_seed(0)
    module = SMALL[kind]()
    module.hparams["lr"] = 0.02
    quiet_trainer(max_epochs=10).fit(module, data)
    rows = data.benchmark.candidates("test")
    scores = predicted(module, data, rows)
    assert roc_auc_score(np.repeat([1, 0], 10), scores) > 0.8
    np.testing.assert_allclose(predicted(module, data, rows[::-1]), scores[::-1], atol=1e-5)
    assert not module.transductive
    assert not module.fits_labels


@pytest.mark.parametrize("kind", SMALL)
def test_no_network_learns_from_its_own_fold(data: Any, kind: str) -> None:
    module = SMALL[kind]()
    quiet_trainer(max_steps=1, max_epochs=-1).fit(module, data)
    batch = first_batch(data)
    fold = folds_of(exclusion_keys(data.benchmark, batch["outsider_row"].numpy()), 3)
    np.testing.assert_array_equal(module.seen(batch), fold != np.arange(3)[:, None])
    patient = data.benchmark.groups(batch["outsider_row"].numpy())
    for name in np.unique(patient):
        assert len(set(fold[patient == name])) == 1
    networks = module.networks if kind == "discriminator" else module.outsiders
    module.log = lambda *_, **__: None
    for number, network in enumerate(networks):
        own = {**batch, "outsider_row": batch["outsider_row"][torch.from_numpy(fold == number)]}
        own["outsider_image"] = batch["outsider_image"][torch.from_numpy(fold == number)]
        for name in ("row", "image"):
            own[name] = batch[name][: len(own["outsider_row"])]
        module.zero_grad()
        module.training_step(own, 0).backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert len(own["row"])
        assert all((gradient == 0).all() for gradient in gradients)


def test_scores_come_from_the_network_of_the_own_fold(data: Any) -> None:
    rows = np.sort(data.benchmark.candidates("test"))
    fold = folds_of(exclusion_keys(data.benchmark, rows), 3)
    for kind, build in SMALL.items():
        module = build()
        networks = module.networks if kind == "discriminator" else module.outsiders
        sides = 1 if kind == "discriminator" else 3
        for number, network in enumerate(networks):
            network.forward = lambda images, *_, number=number, sides=sides: images.new_full(
                images.shape[:sides], number
            )
        found = predicted(module, data, rows)
        if kind == "discriminator":
            np.testing.assert_array_equal(found, fold)
            continue
        images = torch.from_numpy(data.benchmark.images(rows)) / 255.0
        # Four masks hide each square once: their mean is that over the image.
        error = (images - torch.from_numpy(fold)[:, None, None]).square().mean(dim=(1, 2))
        module.synthetic.forward = lambda images, *_: torch.full_like(images, 0.5)
        flat = (images - 0.5).square().mean(dim=(1, 2))
        expected = (error / flat).log()
        np.testing.assert_allclose(predicted(module, data, rows), expected, atol=1e-4)


def test_both_kinds_weigh_the_same_and_one_alone_nothing() -> None:
    logits, seen = torch.randn(8), torch.tensor([True, False, True, True])
    targets = torch.tensor([1.0, 1, 1, 1, 0, 0, 0])
    weight = torch.tensor([1 / 4] * 4 + [1 / 3] * 3) / 2
    kept = torch.cat([logits[:4], logits[4:][seen]])
    expected = F.binary_cross_entropy_with_logits(kept, targets, weight, reduction="sum")
    torch.testing.assert_close(two_kinds_loss(logits, seen), expected)
    assert two_kinds_loss(logits, torch.zeros(4, dtype=torch.bool)) == 0


def test_crops_are_parts_of_the_image() -> None:
    images = torch.arange(2 * 9 * 7).float().view(2, 9, 7)
    crops = random_crops(images, torch.tensor([3, 9]), 4)
    for image, crop in zip(images, crops, strict=True):
        row, column = ((image == crop[0, 0]).nonzero()[0]).tolist()
        assert (image[row : row + 4, column : column + 4] == crop).all()
    corners = even_crops(images, 4, 2)[0, :, 0, 0].tolist()
    assert corners == [images[0, 0, 0], images[0, 0, 3], images[0, 5, 0], images[0, 5, 3]]
    assert (random_crops(images, torch.tensor([1, 2]), 7)[:, 0, :].shape) == (2, 7)


def test_masks_hide_every_square_as_often() -> None:
    orders = balanced_masks(64, 16, 0.25, 8, seed=0)
    hidden = hidden_squares(torch.from_numpy(orders), 64, 16, 0.25)
    assert (hidden.sum(dim=(1, 2)) == 64 * 16).all()
    assert (hidden.sum(dim=0) == 2).all()
    squares = hidden[0].view(4, 16, 4, 16)
    assert (squares == squares[:, :1, :, :1]).all()


def test_a_network_does_not_see_what_is_hidden() -> None:
    torch.manual_seed(0)
    network, images = Inpainter(4), torch.rand(1, 16, 16)
    hidden = hidden_squares(torch.rand(1, 16), 16, 4, 0.25)
    changed = torch.where(hidden, torch.rand(1, 16, 16), images)
    torch.testing.assert_close(network(images, hidden), network(changed, hidden))
    shown = torch.where(hidden, images, torch.rand(1, 16, 16))
    assert not torch.allclose(network(images, hidden), network(shown, hidden))


def test_what_does_not_fit_is_named(data: Any) -> None:
    for options, message in (
        ({"image_size": 20, "square": 16}, "method.square=16"),
        ({"image_size": 36, "square": 6}, "multiples of 8"),
        ({"image_size": 16, "square": 4, "share": 1.0}, "method.share=1.0"),
        ({"image_size": [16, 24]}, "square images"),
        ({"image_size": 16, "square": 4, "folds": 1}, "method.folds=1"),
    ):
        with pytest.raises(UserError, match=message):
            InpaintingModule(**options)
    with pytest.raises(UserError, match=r"method.grid=0"):
        DiscriminatorModule(grid=0)
    frame = data.benchmark.index.frame
    frame.loc[frame["role"] == "real_not_used", ["role", "label"]] = ["real_used", "used"]
    with pytest.raises(UserError, match="known not to be used"):
        data.train_dataloader()
