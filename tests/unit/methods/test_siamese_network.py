"""The Siamese branch: layers of the published network, and nothing but torch."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
from torch import nn

from gansfp.errors import UserError
from gansfp.methods.siamese import network
from gansfp.methods.siamese.network import SiameseNetwork, feature_side, smallest_image


@pytest.mark.parametrize(("size", "side"), [(256, 14), (128, 6), (64, 2), (46, 1), (100, 4)])
def test_flattened_size_by_image_size(size: int, side: int) -> None:
    built = SiameseNetwork(size)
    assert feature_side(size) == side
    assert built.features(torch.zeros(1, 1, size, size)).shape == (1, 128, side, side)
    assert built.dense.in_features == 128 * side * side


def test_layers_are_those_of_the_paper() -> None:
    built = SiameseNetwork(256)
    kinds = [type(layer) for layer in built.features]
    assert kinds == [nn.Conv2d, nn.ReLU, nn.MaxPool2d] * 4
    convolutions = [layer for layer in built.features if isinstance(layer, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [16, 32, 64, 128]
    assert {(c.kernel_size, c.padding) for c in convolutions} == {((3, 3), (0, 0))}
    assert (built.dense.in_features, built.dense.out_features) == (25088, 256)
    # 160 + 4,640 + 18,496 + 73,856 of the convolutions, 6,422,784 of the dense layer
    assert sum(p.numel() for p in built.parameters()) == 6_519_936


def test_too_small_an_image_names_the_smallest() -> None:
    assert smallest_image(4) == 46
    with pytest.raises(UserError, match=r"image_size=45.*46 pixels"):
        SiameseNetwork(45)


def test_embeddings_are_unit_vectors_of_a_relu() -> None:
    out = SiameseNetwork(64)(torch.rand(5, 1, 64, 64))
    torch.testing.assert_close(out.norm(dim=1), torch.ones(5))
    assert (out >= 0).all()


def test_weights_start_as_in_keras() -> None:
    torch.manual_seed(0)
    built = SiameseNetwork(64)
    for module in built.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert (module.bias == 0).all()
            fans = module.weight[0].numel(), module.weight[:, 0].numel()
            bound = (6 / sum(fans)) ** 0.5
            assert module.weight.abs().max() <= bound
            torch.testing.assert_close(
                module.weight.std(), torch.tensor(bound / 3**0.5), rtol=0.1, atol=0
            )


def test_network_needs_no_lightning(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lightning", "pytorch_lightning"):
        monkeypatch.setitem(sys.modules, name, None)  # an import raises
    for module in ("gansfp.methods", "gansfp.methods.siamese", network.__name__):
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
