"""Anatomy in Hounsfield units, and the scanner."""

from __future__ import annotations

import numpy as np
import pytest

from gansfp.data.sources.phantom.patient import Patient
from gansfp.data.sources.phantom.plane import Plane
from gansfp.data.sources.phantom.render import Setting, draw_scanner, hounsfield, render
from gansfp.data.sources.phantom.scanner import Scanner, blur, kernel, noise, to_grey
from gansfp.data.sources.phantom.vessels import Vessels

SCANNER = Scanner(field=360.0, dose=13000.0, cutoff=0.42, edge=0.05)


def at(patient, point, level, size=128, around=1):
    """Median Hounsfield units around a point of the standard body, x and y in mm."""
    setting = Setting(image_size=size)
    pixels, scanner = hounsfield(patient, Vessels(patient), level, setting)
    _, middle, roll = draw_scanner(patient, setting)
    standard = patient.to_standard(level)
    plane = Plane(size, scanner.field, middle, roll, standard, patient.warp(standard))
    column, row = np.rint(plane.to_raster(np.array([point], dtype=float))[0]).astype(int)
    box = pixels[row - around : row + around + 1, column - around : column + around + 1]
    return float(np.median(box))


def test_organs_have_their_density():
    found = {name: [] for name in ("lung", "heart", "vertebra", "liver", "air", "windpipe")}
    for number in range(12):
        patient = Patient(3, number)
        found["lung"].append(at(patient, (85, -40), 20.0))
        found["heart"].append(at(patient, (14, -25), 65.0, around=3) - patient.traits.contrast / 2)
        found["vertebra"].append(at(patient, (0, 58), 20.0))
        found["liver"].append(at(patient, (-75, 0), 185.0) - 0.28 * patient.traits.contrast)
        found["windpipe"].append(at(patient, (-1, 7), -85.0, around=0))
        found["air"].append(at(patient, (0, -142), 20.0))
    typical = {name: float(np.median(values)) for name, values in found.items()}
    assert -930 < typical["lung"] < -800
    assert 0 < typical["heart"] < 120
    assert 100 < typical["vertebra"] < 400
    assert 30 < typical["liver"] < 80
    assert typical["windpipe"] < -850
    assert typical["air"] < -900


def test_lesions_change_more_of_the_lungs_the_more_severe_they_are():
    changed = []
    for severity in (0.2, 0.5, 1.0):
        total = 0
        for number in range(8):
            ill = Patient(0, number, lambda _, s=severity: s)
            well = Patient(0, number)
            setting = Setting(image_size=64, noise=0)
            pair = [hounsfield(p, Vessels(p), 30.0, setting)[0] for p in (ill, well)]
            total += int((np.abs(pair[0] - pair[1]) > 20).sum())
        changed.append(total)
    assert 0 < changed[0] < changed[1] < changed[2]


def test_one_patient_at_two_sizes_is_one_patient():
    patient = Patient(0, 7)
    fine = hounsfield(patient, Vessels(patient), 30.0, Setting(image_size=128))[0]
    coarse = hounsfield(patient, Vessels(patient), 30.0, Setting(image_size=64))[0]
    np.testing.assert_allclose(fine.reshape(64, 2, 64, 2).mean((1, 3)), coarse, atol=0.1)


def test_blood_with_contrast_medium_is_brighter():
    patients = [Patient(0, number) for number in range(40)]
    with_dye = [p for p in patients if p.traits.contrast > 120][:4]
    without = [p for p in patients if p.traits.contrast == 0][:4]
    aorta = [np.median([at(p, (25, 46), 30.0) for p in lot]) for lot in (with_dye, without)]
    assert aorta[0] > aorta[1] + 80


def spectrum(images):
    """Power by distance from zero frequency, in cycles a field of view."""
    side = images.shape[-1]
    power = (np.abs(np.fft.fft2(images)) ** 2).mean(0)
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side, 1 / side)] * 2))
    return np.array([power[(k >= r - 0.5) & (k < r + 0.5)].mean() for r in range(side // 2)])


def reconstruct(scanner, count=24, side=64):
    water = np.full((side, side), -1000, np.float32)
    axis = np.arange(side) - side / 2 + 0.5
    water[axis**2 + axis[:, None] ** 2 < (0.4 * side) ** 2] = 0
    return np.stack([noise(water, scanner, np.random.default_rng(k)) for k in range(count)])


def test_noise_rises_from_zero_frequency_as_the_ramp():
    """Filtered back-projection: power is proportional to frequency where the kernel is flat."""
    power = spectrum(reconstruct(SCANNER))
    assert power[0] < 0.1 * power.max()
    slope = np.polyfit(np.log(np.arange(3, 16)), np.log(power[3:16]), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.3)


def test_kernel_and_dose_shape_the_noise():
    soft = Scanner(360.0, 13000.0, 0.06, 0.0)
    sharp = Scanner(360.0, 13000.0, 0.6, 0.5)
    assert reconstruct(sharp).std() > 1.5 * reconstruct(soft).std()
    mean = [(spectrum(reconstruct(s)) * np.arange(32)).sum() for s in (soft, sharp)]
    total = [spectrum(reconstruct(s)).sum() for s in (soft, sharp)]
    assert mean[0] / total[0] < mean[1] / total[1]
    quarter = Scanner(360.0, 13000.0 / 4, 0.42, 0.05)
    assert reconstruct(quarter).std() == pytest.approx(2 * reconstruct(SCANNER).std(), rel=1e-4)


def test_noise_is_strongest_behind_most_tissue():
    images = reconstruct(SCANNER)
    assert images[:, 28:36, 28:36].std() > 1.3 * images[:, :6, :6].std()


def test_kernel_keeps_the_mean_and_blurs_edges():
    image = np.zeros((64, 64), np.float32)
    image[:, 32:] = 1000
    soft = blur(image, Scanner(360.0, 1.0, 0.05, 0.0))
    assert soft.mean() == pytest.approx(500, abs=1e-2)
    assert np.abs(np.diff(soft[32])).max() < 700
    assert kernel(np.zeros(1, np.float32), SCANNER)[0] == 1
    half = kernel(np.array([0.42], np.float32), Scanner(360.0, 1.0, 0.42, 0.0))
    assert half[0] == pytest.approx(0.5)


def test_window_maps_hounsfield_units_linearly():
    values = np.array([[-2000, -1000, -300, 400, 3000]], np.float32)
    assert to_grey(values, (-1000, 400)).tolist() == [[0, 0, 128, 255, 255]]


def test_noise_of_a_slice_is_its_own():
    patient = Patient(0, 1)
    vessels = Vessels(patient)
    first, again, next_one = (
        render(patient, vessels, level, Setting(64)) for level in (30.0, 30.0, 30.5)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != next_one).mean() > 0.2
