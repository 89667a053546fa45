from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from gansfp.features.backbones import Backbone
from gansfp.forge import kid


def by_hand(x, y):
    def kernel(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    def mean(left, right):
        values = [kernel(a, b) for i, a in enumerate(left) for j, b in enumerate(right)
                  if left is not right or i != j]  # fmt: skip
        return sum(values) / len(values)

    return mean(x, x) + mean(y, y) - 2 * mean(x, y)


def test_the_distance_is_that_of_the_formula(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(0.5, 1, (5, 3))
    wanted = by_hand(x.tolist(), [*y.tolist()])
    assert kid.kernel_distance(x, y) == pytest.approx(wanted, rel=1e-12)
    monkeypatch.setattr(kid, "CHUNK", 2)
    assert kid.kernel_distance(x, y) == pytest.approx(wanted, rel=1e-12)
    assert kid.kernel_distance(y, x) == pytest.approx(wanted, rel=1e-12)


def test_the_estimate_is_unbiased():
    rng = np.random.default_rng(1)
    same = [kid.kernel_distance(*rng.normal(size=(2, 20, 4))) for _ in range(400)]
    assert abs(np.mean(same)) < 4 * np.std(same) / 20
    assert min(same) < 0
    assert kid.kernel_distance(rng.normal(size=(50, 4)), rng.normal(2, 1, (50, 4))) > 1


def test_one_image_has_no_distance():
    with pytest.raises(ValueError, match="needs two"):
        kid.kernel_distance(np.ones((1, 4)), np.ones((5, 4)))


class Spec:
    """A backbone of one pooling layer, which counts how often it is built."""

    loads = 0

    def load(self):
        self.loads += 1
        net = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
        half = (0.5, 0.5, 0.5)
        return Backbone(net.eval(), "pool", "test", 12, 8, half, half, torch.device("cpu"))


def test_members_and_others_are_measured_apart():
    rng = np.random.default_rng(2)
    dark = rng.integers(0, 100, (20, 8, 8)).astype(np.uint8)
    bright = rng.integers(150, 256, (20, 8, 8)).astype(np.uint8)
    spec = Spec()
    features = kid.RealFeatures(np.concatenate([dark, bright]), spec)
    assert spec.loads == 0
    samples = rng.integers(0, 100, (15, 8, 8)).astype(np.uint8)
    facts = features.kid_facts(np.arange(20), samples)
    assert facts["members"] < 0.05 < facts["others"]
    assert facts["backbone"] == "pool"
    assert features.kid_facts(np.arange(40), samples)["others"] is None
    assert spec.loads == 1
