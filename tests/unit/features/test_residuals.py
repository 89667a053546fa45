"""Noise residuals and radial spectra, against formulas and other programs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, median_filter
from skimage.restoration import denoise_wavelet

from gansfp.errors import UserError
from gansfp.features.backbones import BackboneSpec, at_stage
from gansfp.features.handcrafted.spectrum import radial_spectra
from gansfp.features.representations import Features, RadialSpectrum, Residuals, from_spec
from gansfp.features.residuals import residual_images, residuals


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 16, 20), dtype=np.uint8)


def test_residuals_are_what_the_denoiser_takes_away(images: np.ndarray) -> None:
    grey = images / 255
    for n, image in enumerate(grey):
        wanted = {
            "gaussian": gaussian_filter(image, 1),
            "median": median_filter(image, 3),
            "wavelet": denoise_wavelet(image),
        }
        for denoiser, smooth in wanted.items():
            np.testing.assert_allclose(residuals(images, denoiser)[n], image - smooth, atol=1e-6)


@pytest.mark.parametrize("denoiser", ["gaussian", "median", "wavelet", "nlm"])
def test_an_even_image_leaves_nothing(denoiser: str) -> None:
    even = np.full((2, 16, 16), 77, np.uint8)
    np.testing.assert_allclose(residuals(even, denoiser), 0, atol=1e-6)
    np.testing.assert_array_equal(Residuals(denoiser).encode(even), 0)


def test_non_local_means_take_noise_away() -> None:
    rng = np.random.default_rng(1)
    clean = np.tile(np.repeat([60.0, 180.0], 16), (32, 1))
    noise = rng.normal(0, 8, (32, 32))
    noisy = np.rint(clean + noise).astype(np.uint8)[None]
    found = residuals(noisy, "nlm")[0] * 255
    assert np.corrcoef(found.ravel(), noise.ravel())[0, 1] > 0.9


def test_a_wave_fills_its_ring() -> None:
    x = np.arange(64)
    wave = np.rint(128 + 100 * np.sin(2 * np.pi * 10 * x / 64))[None, None].repeat(64, 1)
    spectrum = radial_spectra(wave.astype(np.uint8))[0]
    assert spectrum.shape == (32,)
    assert spectrum.argmax() == 10


def test_the_spectrum_of_a_small_image_by_hand(images: np.ndarray) -> None:
    image = images[0, :8, :8].astype(float)
    window = np.outer(np.hanning(8), np.hanning(8))
    power = np.abs(np.fft.fft2((image - image.mean()) * window)) ** 2
    wanted = np.zeros(4)
    for ring in range(4):
        inside = [
            power[u, v]
            for u in range(8)
            for v in range(8)
            if ring <= np.hypot(min(u, 8 - u), min(v, 8 - v)) < ring + 1
        ]
        wanted[ring] = np.log(np.mean(inside))
    np.testing.assert_allclose(radial_spectra(images[:1, :8, :8])[0], wanted, rtol=1e-9)


def test_white_noise_has_a_flat_spectrum() -> None:
    noise = np.random.default_rng(2).normal(128, 20, (200, 32, 32))
    spectrum = np.exp(radial_spectra(noise)).mean(axis=0)
    # The subtracted mean takes power from the innermost ring.
    np.testing.assert_allclose(spectrum[2:] / spectrum[2:].mean(), 1, atol=0.1)


def test_finer_rings_than_frequencies_repeat_the_one_inside(images: np.ndarray) -> None:
    spectrum = radial_spectra(images[:1, :8, :8], bins=16)[0]
    assert spectrum[1] == spectrum[0]
    assert np.isfinite(spectrum).all()


@pytest.mark.parametrize(
    "representation", [Residuals("median"), RadialSpectrum(8), RadialSpectrum(denoiser="median"),
                       Features(BackboneSpec("resnet18", "none"), stage=1)],
)  # fmt: skip
def test_they_are_described_by_plain_values(representation) -> None:
    assert from_spec(representation.spec()) == representation


def test_residuals_as_vectors_have_zero_mean_and_unit_norm(images: np.ndarray) -> None:
    vectors = Residuals().encode(images)
    np.testing.assert_allclose(vectors.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_stages_are_averaged_maps() -> None:
    whole = BackboneSpec("test_resnet", "none", "cpu", size=32).load()
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32), dtype=np.uint8)
    maps = whole.module.forward_intermediates(
        whole.preprocess(torch.from_numpy(images)), intermediates_only=True
    )
    for stage, wanted in enumerate(maps):
        spec = BackboneSpec("test_resnet", "none", "cpu", size=32)
        found = Features(spec, normalize=False, stage=stage).encode(images)
        np.testing.assert_allclose(found, wanted.mean(dim=(2, 3)).numpy(), rtol=1e-4, atol=1e-6)
    identities = {whole.identity, *(at_stage(whole, k).identity for k in range(len(maps)))}
    assert len(identities) == 1 + len(maps)
    with pytest.raises(UserError, match=r"stage=9: test_resnet has stages 0 to"):
        at_stage(whole, 9)


def test_residuals_as_images_are_a_fixed_map(images: np.ndarray) -> None:
    found = residual_images(images, "median")
    wanted = np.clip(np.rint(128 + 1020 * residuals(images, "median").astype(np.float64)), 0, 255)
    assert np.abs(found.astype(int) - wanted).max() <= 1  # float32 halves
    np.testing.assert_array_equal(residual_images(images[2:3], "median"), found[2:3])
    assert (residual_images(np.full((1, 8, 8), 9, np.uint8), "gaussian") == 128).all()
