"""The pool of virtual patients: same seed, same pixels, whoever draws them and in what order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from gansfp.data.sources.phantom import PhantomSource
from gansfp.data.sources.phantom.source import REGIONS, Pool
from gansfp.errors import UserError

GOLDEN = Path(__file__).with_name("golden.csv")


def golden_pixels():
    """Every eighth row of one slice of each region."""
    pools = (PhantomSource(1, region=region, seed=5, lesions=(1, 1)) for region in REGIONS)
    return np.concatenate([pool.read().pixels[0, 4::8] for pool in pools])


def test_pixels_are_what_they_were():
    # Other platforms round differently: at most one grey level on a pixel in a thousand.
    away = np.abs(golden_pixels().astype(int) - np.loadtxt(GOLDEN, delimiter=",", dtype=int))
    assert away.max() <= 1
    assert (away > 0).mean() <= 1e-3


def test_a_patient_does_not_depend_on_the_pool():
    pool = PhantomSource(6, slices=2, image_size=32).read()
    late = PhantomSource(2, slices=2, image_size=32, first_patient=4).read()
    np.testing.assert_array_equal(pool.pixels[8:], late.pixels)
    assert late.names == pool.names[8:]
    assert late.names[0] == "patient_00004_slice_0"
    assert late.groups == ("patient_00004",) * 2 + ("patient_00005",) * 2
    for name, values in late.covariates.items():
        np.testing.assert_array_equal(pool.covariates[name][8:], values)
    other = PhantomSource(6, slices=2, image_size=32, seed=1).read()
    assert len({image.tobytes() for image in (*pool.pixels, *other.pixels)}) == 24


def test_workers_change_no_pixel():
    alone = PhantomSource(17, image_size=16, workers=1).read()
    shared = PhantomSource(17, image_size=16, workers=2).read()
    np.testing.assert_array_equal(alone.pixels, shared.pixels)
    assert alone.fingerprint == shared.fingerprint


def test_blas_has_one_thread_while_phantoms_are_drawn(monkeypatch):
    """Several wait for each other over small products, and round a pixel in a million elsewise."""
    seen = []

    def draw(pool, number):
        seen.extend(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas")
        return np.zeros((1, 16, 16), np.uint8), [0.0], pool.patient(number)

    monkeypatch.setattr(Pool, "draw", draw)
    with threadpool_limits(2, "blas"):
        PhantomSource(1, image_size=16, workers=1).read()
    assert seen
    assert set(seen) == {1}


def test_more_slices_move_no_slice():
    """Five slices 4 mm apart hold the three that are 8 mm apart."""
    few = PhantomSource(2, slices=3, spacing=8.0, image_size=32).read().pixels.reshape(2, 3, 32, 32)
    many = PhantomSource(2, slices=5, spacing=4.0, image_size=32).read()
    np.testing.assert_array_equal(many.pixels.reshape(2, 5, 32, 32)[:, ::2], few)
    assert np.allclose(np.diff(many.covariates["level"].reshape(2, 5)), 4.0)


def test_slices_of_a_patient_look_like_one_patient():
    images = PhantomSource(10, slices=4, image_size=32).read()
    flat = images.pixels.reshape(40, -1).astype(float)
    distance = np.sqrt(((flat[:, None] - flat) ** 2).mean(-1))
    owner = np.array(images.groups)
    same = owner[:, None] == owner
    np.fill_diagonal(distance, np.inf)
    assert np.all(same[np.arange(40), distance.argmin(1)])
    np.fill_diagonal(distance, 0)
    assert distance[same].mean() < 0.6 * distance[~same].mean()


def test_severity_is_uniform_among_the_ill():
    drawn = [PhantomSource(1, lesions=0.4).pool.patient(k).traits.severity for k in range(600)]
    ill = np.array(drawn)[np.array(drawn) > 0]
    assert len(ill) / 600 == pytest.approx(0.4, abs=0.06)
    assert np.quantile(ill, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.08)
    ranged = [
        PhantomSource(1, lesions=(0.2, 0.3)).pool.patient(k).traits.severity for k in range(50)
    ]
    assert 0.2 <= min(ranged) < max(ranged) <= 0.3


def test_covariates_say_what_was_asked_for():
    women = PhantomSource(5, image_size=16, sex="female", region="abdomen").read().covariates
    men = PhantomSource(5, image_size=16, sex="male", lesions=0).read().covariates
    assert set(women) == {"severity", "female", "age", "fat", "level"}
    assert women["female"].tolist() == [1] * 5
    assert men["female"].tolist() == [0] * 5
    assert men["severity"].tolist() == [0] * 5
    assert women["level"].min() >= 130


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"patients": 0}, r"source\.patients=0"),
        ({"region": "leg"}, "chest, neck, abdomen"),
        ({"levels": [-100, 160]}, "with source.region=mixed"),
        ({"levels": [160, -100], "region": "mixed"}, "two rising numbers"),
        ({"sex": "x"}, r"source\.sex=x"),
        ({"lesions": 1.5}, r"source\.lesions=1\.5"),
        ({"lesions": (0.1, 0.2, 0.3)}, "two severities"),
        ({"window": (400, -1000)}, r"source\.window"),
        ({"noise": -1}, r"source\.noise"),
        ({"workers": 0}, r"source\.workers=0"),
    ],
)
def test_mistakes_are_named(wrong, message):
    with pytest.raises(UserError, match=message):
        PhantomSource(**{"patients": 1, **wrong})


if __name__ == "__main__":  # writes the pinned pixels anew
    np.savetxt(GOLDEN, golden_pixels(), delimiter=",", fmt="%d")


def test_levels_narrow_a_mixed_pool():
    levels = [-100, 160]
    pool = PhantomSource(30, image_size=16, region="mixed", levels=levels, workers=1).read()
    level, region = pool.covariates["level"], pool.covariates["region"]
    assert -100 <= level.min() < -60
    assert 120 < level.max() <= 160
    assert set(region[level < -47.5]) == {"neck"}
    assert set(region[level > 107.5]) == {"abdomen"}
