"""ZOQ's network: channels, layers by hand, loss, and the scores of each measure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fitting import first_batch, predicted, quiet_trainer
from skimage.metrics import structural_similarity
from torch.nn import functional as F

from gansfp.data.pairs import Images
from gansfp.data.store import ImageStore
from gansfp.errors import UserError
from gansfp.features.enhance import enhance
from gansfp.methods.zoq.module import EnhancedCNNModule
from gansfp.methods.zoq.network import SmallCNN, enhanced

Data = Any


@pytest.fixture
def data(membership: Data) -> Data:
    large = membership.benchmark.store.pixels.repeat(7, axis=1).repeat(7, axis=2)
    membership.__dict__["benchmark"] = type(membership.benchmark)(
        "membership", membership.benchmark.index, ImageStore(large)
    )
    membership._sampling = Images(batch_size=4)
    return membership


def _module(**options: Any) -> EnhancedCNNModule:
    torch.manual_seed(0)
    return EnhancedCNNModule(**{"channels": [4, 5, 6], **options})


def test_channels_are_the_enhancements() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    found = enhanced(images, ["none", "laplacian"])
    assert found.shape == (3, 2, 16, 16)
    np.testing.assert_allclose(found[:, 0] * 255, images, atol=1e-4)
    np.testing.assert_allclose(found[:, 1] * 255, enhance(images, "laplacian"), atol=1e-4)


def test_network_by_hand() -> None:
    torch.manual_seed(0)
    network = SmallCNN(2, [3, 4])
    images = x = torch.rand(2, 2, 8, 8)
    for layer in (0, 3):
        x = F.max_pool2d(F.conv2d(x, *network.body[layer].parameters(), padding=1).relu(), 2)
    torch.testing.assert_close(network.maps(images), x)
    torch.testing.assert_close(network(images), network.head(x.mean((2, 3)))[:, 0])


def test_it_learns_by_the_cross_entropy_of_labels(data: Data) -> None:
    module = _module()
    module.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = first_batch(data)
    logits = module.network(enhanced(batch["image"].numpy(), module.hparams["filters"]))
    used = batch["label"].float()
    expected = -(used * F.logsigmoid(logits) + (1 - used) * F.logsigmoid(-logits)).mean()
    torch.testing.assert_close(module.training_step(batch, 0), expected)
    fitted = _module()
    quiet_trainer().fit(fitted, data)
    assert all(
        (a != b).any() for a, b in zip(module.parameters(), fitted.parameters(), strict=True)
    )


@pytest.mark.parametrize("measure", ["ssim", "cosine", "jaccard"])
def test_scores_are_the_largest_similarity(measure: str, data: Data) -> None:
    module = _module(measure=measure, window=7).eval()
    rows = data.benchmark.candidates("test")
    got = predicted(module, data, rows)

    def maps(wanted: np.ndarray) -> np.ndarray:
        images = enhanced(data.benchmark.images(wanted), module.hparams["filters"])
        with torch.no_grad():
            return module.network.maps(images).mean(1).numpy()

    def like(x: np.ndarray, y: np.ndarray) -> float:
        if measure == "ssim":
            x, y = (np.rint(255 * (m - m.min()) / np.ptp(m)) for m in (x, y))
            return structural_similarity(x, y, data_range=255)
        if measure == "cosine":
            return (x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())
        x, y = (m > m.mean() for m in (x, y))
        return (x & y).sum() / (x | y).sum()

    expected = [max(like(x, y) for y in maps(data.generated_rows)) for x in maps(rows)]
    np.testing.assert_allclose(got, expected, atol=2e-3 if measure == "ssim" else 1e-5)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(UserError, match=r"method\.measure=ncc: choose ssim, cosine, jaccard"):
        _module(measure="ncc")
    with pytest.raises(UserError, match=r"method\.filters"):
        _module(filters=[])
