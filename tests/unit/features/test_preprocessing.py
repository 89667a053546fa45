from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from gansfp.errors import UserError
from gansfp.features.preprocessing import Preprocessing

CFG = {"input_size": (3, 16, 16), "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("antialias", [True, False])
def test_it_agrees_with_torchvision(interpolation: str, antialias: bool) -> None:
    images = torch.randint(0, 256, (4, 24, 24), dtype=torch.uint8)
    found = Preprocessing.of(CFG, 12, "native", interpolation, antialias)(images)
    grey = images[:, None] / 255
    resized = tv.resize(grey, [12, 12], InterpolationMode(interpolation), antialias=antialias)
    wanted = tv.normalize(resized.clamp(0, 1).expand(-1, 3, -1, -1), CFG["mean"], CFG["std"])
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_caffe_is_keras_arithmetic_on_bytes() -> None:
    images = torch.randint(0, 256, (2, 16, 16), dtype=torch.uint8)
    found = Preprocessing.of(CFG, None, "caffe")(images)
    for channel, mean in enumerate((103.939, 116.779, 123.68)):  # blue, green, red
        np.testing.assert_allclose(found[:, channel], images.float() - mean, atol=1e-3)
    symmetric = Preprocessing.of(CFG, None, "symmetric")(images)
    np.testing.assert_allclose(symmetric[:, 0], images / 127.5 - 1, atol=1e-5)


def test_bytes_and_unit_floats_agree() -> None:
    images = torch.randint(0, 256, (2, 20, 20), dtype=torch.uint8)
    wanted = Preprocessing.of(CFG)
    torch.testing.assert_close(wanted(images), wanted(images.float() / 255))


def test_unknown_names() -> None:
    with pytest.raises(UserError, match="normalisation=zscore"):
        Preprocessing.of(CFG, None, "zscore")
    with pytest.raises(UserError, match="interpolation=area"):
        Preprocessing.of(CFG, None, "native", "area")
