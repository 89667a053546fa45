from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as tv

from gansfp.data.augment import Augment, geometry, intensity, unit_range
from gansfp.data.draws import batch_keys, uniform
from gansfp.errors import UserError


@pytest.fixture
def keys() -> torch.Tensor:
    return batch_keys(0, 0, 0, 64)


@pytest.fixture
def images() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(64, 20, 24)


@pytest.fixture
def full() -> Augment:
    return Augment(
        {
            "flip": geometry.Flip(0.5, 0.5),
            "crop": geometry.Crop(16, padding=2),
            "resized": geometry.ResizedCrop(12, (0.5, 1)),
            "affine": geometry.Affine(10, 0.05, (0.9, 1.1), 5),
            "jitter": intensity.Jitter(0.2, 0.2, p=0.8),
            "blur": intensity.Blur(3),
            "noise": intensity.Noise(),
            "gabor": intensity.GaborNoise(),
            "erase": intensity.Erase(),
            "mask": intensity.MaskBlocks(0.2, 4),
            "dropped": None,
        }
    )


def test_one_image_alone_is_changed_as_in_its_batch(full, images, keys) -> None:
    whole = full(images, keys)
    assert whole.shape == (64, 12, 12)
    assert whole.min() >= 0
    assert whole.max() <= 1
    share = full(images[3::7], keys[3::7])
    torch.testing.assert_close(share, whole[3::7], rtol=0, atol=1e-6)
    torch.testing.assert_close(full(images, keys), whole, rtol=0, atol=0)


def test_views_and_transforms_have_their_own_numbers(images, keys) -> None:
    twice = Augment({"a": geometry.Flip(0.5), "b": geometry.Flip(0.5)}, views=2)
    kept = (twice(images, keys) == images).all((1, 2)).float().mean().item()
    assert 0.3 < kept < 0.7  # one key for both would always undo the first flip
    assert not torch.equal(twice(images, keys, view=0), twice(images, keys, view=1))


def test_bytes_come_to_the_unit_range() -> None:
    raw = torch.tensor([[[0, 51, 255]]], dtype=torch.uint8)
    torch.testing.assert_close(unit_range(raw), torch.tensor([[[0.0, 0.2, 1.0]]]))
    torch.testing.assert_close(Augment()(raw, torch.tensor([1])), unit_range(raw))
    half = torch.full((1, 2, 2), 0.5)
    torch.testing.assert_close(unit_range(half), half)


def test_flips_and_turns_are_the_eight_symmetries_of_the_square(keys) -> None:
    image = torch.arange(9.0).view(1, 3, 3).expand(64, -1, -1)
    seen = {tuple(x.flatten().tolist()) for x in geometry.Flip(0.5, turns=True)(image, keys)}
    square = image[0].numpy()
    wanted = {
        tuple(np.rot90(side, k).ravel().tolist()) for side in (square, square.T) for k in range(4)
    }
    assert seen == wanted
    torch.testing.assert_close(geometry.Flip(1.0)(image, keys), image.flip(2))


def test_a_crop_is_a_window_by_whole_pixels(images, keys) -> None:
    cropped = geometry.Crop(18)(images, keys)
    windows = images.unfold(1, 18, 1).unfold(2, 18, 1).reshape(64, -1, 18, 18)
    found = (windows == cropped[:, None]).all((2, 3))
    assert (found.sum(1) == 1).all()
    assert len(found.int().argmax(1).unique()) > 0.8 * 3 * 7
    shifted = geometry.Crop(None, padding=2)(images, keys)
    assert shifted.shape == images.shape
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    windows = padded.unfold(1, 20, 1).unfold(2, 24, 1).reshape(64, -1, 20, 24)
    assert (windows == shifted[:, None]).all((2, 3)).any(1).all()


def test_a_resized_crop_is_the_interpolated_window(keys) -> None:
    # A plane is what bilinear interpolation reproduces exactly, so the corners say the window.
    down, right = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    box = geometry.ResizedCrop(16, (0.5, 0.7), (0.8, 1.25))
    y = box((down / 40).expand(64, -1, -1), keys) * 40
    x = box((right / 40).expand(64, -1, -1), keys) * 40
    tall = (y[:, -2, 8] - y[:, 1, 8]) * 16 / 13
    wide = (x[:, 8, -2] - x[:, 8, 1]) * 16 / 13
    share, ratio = tall * wide / 40**2, wide / tall
    unit = uniform(keys, 4)
    torch.testing.assert_close(share, 0.5 + 0.2 * unit[:, 0], atol=1e-3, rtol=0)
    wanted = torch.exp(np.log(0.8) + np.log(1.25 / 0.8) * unit[:, 1])
    torch.testing.assert_close(ratio, wanted, atol=1e-3, rtol=0)
    whole = geometry.ResizedCrop(None, (1, 1), (1, 1))
    image = torch.rand(64, 9, 9)
    torch.testing.assert_close(whole(image, keys), image, atol=1e-5, rtol=0)


def test_affine_agrees_with_torchvision(images) -> None:
    degrees, scale, shear = torch.tensor([17.0]), torch.tensor([1.2]), torch.tensor([8.0])
    shift = torch.tensor([[3.0, -2.0]])
    theta = geometry.inverse_affine(degrees, shift, scale, shear, (20, 24))
    ours = geometry._sample(images[:1], theta, (20, 24), "zeros")
    theirs = tv.affine(
        images[:1], 17.0, [3, -2], 1.2, [8.0, 0.0], interpolation=InterpolationMode.BILINEAR
    )
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_affine_draws_within_its_ranges(keys) -> None:
    still = geometry.Affine()
    image = torch.rand(64, 15, 15)
    torch.testing.assert_close(still(image, keys), image, atol=1e-5, rtol=0)
    never = geometry.Affine(90, p=0.0)
    torch.testing.assert_close(never(image, keys), image, rtol=0, atol=0)


def test_jitter_agrees_with_torchvision(images, keys) -> None:
    ours = intensity.Jitter(0.3, 0.4)(images, keys)
    unit = uniform(keys, 2)
    for image, result, (b, c) in zip(images, ours, unit.tolist(), strict=True):
        bright = tv.adjust_brightness(image[None], 0.7 + 0.6 * b)
        wanted = tv.adjust_contrast(bright, 0.6 + 0.8 * c)[0]
        torch.testing.assert_close(result, wanted, atol=1e-5, rtol=0)


def test_blur_agrees_with_torchvision(images, keys) -> None:
    ours = intensity.Blur(5, (0.5, 2.0))(images, keys)
    sigma = 0.5 + 1.5 * uniform(keys, 1)[:, 0]
    for image, result, width in list(zip(images, ours, sigma.tolist(), strict=True))[:8]:
        wanted = tv.gaussian_blur(image[None], [5, 5], [width, width])[0]
        torch.testing.assert_close(result, wanted, atol=1e-5, rtol=0)


def test_noise_has_the_spread_that_was_asked_for(keys) -> None:
    grey = torch.full((64, 64, 64), 0.5)
    noisy = intensity.Noise((0.02, 0.02))(grey, keys)
    assert (noisy - grey).std(dim=(1, 2)).sub(0.02).abs().max() < 0.001
    assert len({round(x, 5) for x in noisy[:, 0, 0].tolist()}) > 60


def test_gabor_noise_is_one_wave(keys) -> None:
    wave = intensity.GaborNoise(0.05, (0.1, 0.4), p=1.0)(torch.full((64, 64, 64), 0.5), keys) - 0.5
    assert wave.abs().max() <= 0.05 + 1e-6
    spectrum = torch.fft.fft2(wave * torch.hann_window(64) * torch.hann_window(64)[:, None]).abs()
    peak = spectrum.flatten(1).argmax(1)
    f = torch.fft.fftfreq(64)
    radius = torch.hypot(f[peak // 64], f[peak % 64])
    assert (radius > 0.08).all()
    assert (radius < 0.42).all()


def test_erase_covers_one_rectangle_of_the_drawn_size(keys) -> None:
    ones = torch.ones(64, 40, 40)
    covered = intensity.Erase(1.0, (0.05, 0.2), (0.5, 2.0))(ones, keys) == 0
    rows, columns = covered.any(2).sum(1), covered.any(1).sum(1)
    torch.testing.assert_close(covered.sum((1, 2)), rows * columns)
    share = covered.float().mean((1, 2))
    assert share.min() > 0.04
    assert share.max() < 0.22
    assert not (intensity.Erase(0.0)(ones, keys) == 0).any()


def test_masked_blocks_are_whole_and_as_many_as_asked(keys) -> None:
    covered = intensity.MaskBlocks(0.25, 8)(torch.ones(64, 64, 60), keys) == 0
    blocks = covered[:, :, :56].view(64, 8, 8, 7, 8).float().mean((2, 4))
    assert set(blocks.unique().tolist()) == {0.0, 1.0}
    assert blocks.mean().sub(0.25).abs() < 0.03


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: geometry.Flip(1.5), r"p=1\.5"),
        (lambda: geometry.Crop(0), "size=0"),
        (lambda: geometry.ResizedCrop(8, (0, 1)), "scale="),
        (lambda: intensity.Blur(4), "kernel=4"),
        (lambda: intensity.MaskBlocks(0.1, 0), "block=0"),
        (lambda: Augment(views=0), "views=0"),
    ],
)
def test_impossible_values(build, said: str) -> None:
    with pytest.raises(UserError, match=said):
        build()


def test_a_window_larger_than_the_image(images, keys) -> None:
    with pytest.raises(UserError, match="size=30"):
        geometry.Crop(30)(images, keys)
