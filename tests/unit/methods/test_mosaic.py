"""Patch mosaics find whose images were cut up, whichever generator cut them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gansfp.errors import UserError
from gansfp.methods.mosaic.estimator import MosaicEstimator

CLASSES = ("t1", "t2", "t3")
SIDE, CELL = 16, 8
SMALL: dict[str, Any] = {"sides": (3, 5), "stride": 2, "device": "cpu"}


@pytest.fixture
def cut_up(datamodule) -> Any:
    """Each synthetic image has its four quarters from four real images of its subset, and noise."""
    rng = np.random.default_rng(0)
    real = rng.integers(40, 216, (3, 12, SIDE, SIDE))

    def made(kind: int, n: int, offset: float) -> np.ndarray:
        images = np.empty((n, SIDE, SIDE))
        for image in images:
            for top in range(0, SIDE, CELL):
                for left in range(0, SIDE, CELL):
                    place = (slice(top, top + CELL), slice(left, left + CELL))
                    image[place] = real[kind, rng.integers(12)][place]
        return np.clip(images + rng.normal(offset, 60, images.shape), 0, 255)

    def build(offsets=(0, 0, 0), test_offsets=(0, 0, 0), **options: Any) -> Any:
        parts = []
        for kind, name in enumerate(CLASSES):
            parts.append(("train", "real", name, real[kind], None))
            parts.append(("train", "generated", name, made(kind, 20, offsets[kind]), None))
        parts += [
            ("test", "generated_unknown", None, made(kind, 40, test_offsets[kind]), None)
            for kind in range(3)
        ]
        return datamodule("attribution", parts, CLASSES, **{"fold": None, **options})

    return build


def accuracy(method: Any, data: Any) -> float:
    found = method.predict(data, data.benchmark.candidates("test"))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    return float((found.argmax(axis=1) == np.repeat(np.arange(3), 40)).mean())


def test_finds_mosaics_that_no_whole_image_is_near_to(cut_up) -> None:
    data = cut_up()
    mosaic = accuracy(MosaicEstimator(**SMALL).fit(data), data)
    assert mosaic > 0.97
    assert accuracy(MosaicEstimator(**SMALL, references="both").fit(data), data) > 0.97


def test_a_generators_hand_is_not_learnt_from_real_images(cut_up) -> None:
    # A grey level of its own marks each generator; at test the marks have moved on.
    data = cut_up(offsets=(-20, 0, 20), test_offsets=(20, -20, 0))
    assert accuracy(MosaicEstimator(**SMALL).fit(data), data) > 0.9


def test_no_image_is_compared_with_itself(cut_up) -> None:
    # Were it, distances of 0 would make synthetic references the best evidence in the fit.
    data = cut_up()
    method = MosaicEstimator(**SMALL, references="generated").fit(data)
    rows = data.benchmark.rows("train", "generated")
    evidence = method._evidence(data, rows)
    assert np.exp(-evidence).min() > 1e-3


def test_learnt_weights_are_those_of_the_images_that_are_not_held_out(cut_up) -> None:
    data = cut_up(fold=0, folds=4)
    method = MosaicEstimator(**SMALL, references="generated").fit(data)
    (known,) = method._known
    assert len(known.images) == 45
    held_out = data.benchmark.images(data.holdout_rows)
    assert not (known.images[:, None] == held_out[None]).all(axis=(2, 3)).any()
    found = method.predict(data, data.holdout_rows)
    assert (found.argmax(axis=1) == data.benchmark.targets(data.holdout_rows)).mean() > 0.8


def test_reads_back_what_it_wrote(cut_up, tmp_path: Path) -> None:
    data = cut_up()
    method = MosaicEstimator(**SMALL, references="both", inputs=("pixels", "gaussian")).fit(data)
    method.save(tmp_path)
    rows = data.benchmark.candidates("test")
    np.testing.assert_array_equal(
        MosaicEstimator.load(tmp_path).predict(data, rows), method.predict(data, rows)
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sides": (4,)}, "odd numbers"),
        ({"references": "fake"}, "real, generated or both"),
        ({"inputs": ("blur",)}, "denoiser=blur"),
        ({"stride": 0}, "at least 1"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        MosaicEstimator(**options)


def test_membership_is_refused(membership) -> None:
    with pytest.raises(UserError, match="task=attribution"):
        MosaicEstimator().fit(membership)


def test_fitted_on_real_images_alone_it_knows_the_synthetic_ones(cut_up) -> None:
    data = cut_up(fit_role="real")
    assert len(data.generated_rows) == 0
    assert accuracy(MosaicEstimator(**SMALL).fit(data), data) > 0.9
    with pytest.raises(UserError, match="0 generated images"):
        MosaicEstimator(**SMALL, references="both").fit(data)
