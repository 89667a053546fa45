"""Fits on shuffled labels: a sound method passes, one that knows an image's own label fails."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pytest
from planted import composed, planted_benchmark

from gansfp import build
from gansfp.commands.train import build_method
from gansfp.errors import UserError
from gansfp.evaluation.controls import shuffled_labels
from gansfp.evaluation.evaluator import AttributionEvaluator, MembershipEvaluator
from gansfp.methods.base import Estimator
from gansfp.runtime.shuffled import relabelled, shuffled_control


class Leaky(Estimator):
    """Says that it fits no labels, and repeats, with some noise, those that it was given."""

    fits_labels = False

    def fit(self, data: Any) -> Self:
        rows = data.benchmark.candidates("train")
        self.known = dict(zip(rows.tolist(), data.benchmark.targets(rows).tolist(), strict=True))
        return self

    def predict(self, data: Any, rows: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(0).normal(size=len(rows))
        return np.array([self.known.get(row, 0.5) for row in rows.tolist()]) + noise

    def save(self, folder: Any) -> None: ...

    @classmethod
    def load(cls, folder: Any) -> Self:
        return cls()


def test_labels_are_dealt_anew_and_nothing_else_changes() -> None:
    benchmark = planted_benchmark("near_copies", size=16).benchmark
    rows = benchmark.candidates("train")
    wanted = np.roll(benchmark.targets(rows), 3)
    other = relabelled(benchmark, wanted)
    np.testing.assert_array_equal(other.candidates("train"), rows)
    np.testing.assert_array_equal(other.targets(rows), wanted)
    np.testing.assert_array_equal(other.rows("train", "real_used"), rows[wanted == 1])
    assert other.store is benchmark.store
    rest = np.setdiff1d(np.arange(len(benchmark)), rows)
    columns = ["sample_id", "role", "label", "group", "pixel_hash"]
    parts = [one.index.frame[columns].iloc[rest].fillna("") for one in (other, benchmark)]
    np.testing.assert_array_equal(parts[0].to_numpy(), parts[1].to_numpy())
    assert benchmark.targets(rows).tolist() != wanted.tolist()


@pytest.mark.parametrize("recipe", ["beyond/reference_ratio_pixels", "beyond/pool_ratio_labelled"])
def test_a_sound_method_passes_though_it_finds_the_copies(recipe: str) -> None:
    benchmark = planted_benchmark("near_copies", size=16).benchmark
    control = shuffled_control(composed(recipe), benchmark, build_method)
    assert control is not None
    assert control["passed"]
    assert abs(control["value"] - 0.5) < 0.02


def test_a_planted_leak_fails() -> None:
    benchmark = planted_benchmark("independent_draws", size=16).benchmark
    control = shuffled_control(
        composed("beyond/nearest_pixels"), benchmark, lambda *_: Leaky(), refits=6
    )
    assert control is not None
    assert not control["passed"]
    assert control["value"] > 0.6


def test_a_method_without_held_out_images_cannot_be_judged() -> None:
    benchmark = planted_benchmark("independent_draws", size=16).benchmark

    class InSample(Leaky):
        fits_labels = True

    config = composed("beyond/nearest_pixels", "data.fold=null")
    assert shuffled_control(config, benchmark, lambda *_: InSample(), refits=2) is None


def test_a_network_is_fitted_for_each_shuffle() -> None:
    benchmark = planted_benchmark("independent_draws", size=64).benchmark
    small = ("trainer.max_epochs=1", "trainer.accelerator=cpu", "method.width=4", "method.folds=2",
             "trainer.limit_train_batches=1")  # fmt: skip
    config = composed("beyond/discriminator_cnn", *small)
    control = shuffled_control(config, benchmark, build_method, refits=4)
    assert control is not None
    assert "fitted 4 times" in control["what"]


def test_the_interval_is_students() -> None:
    areas = np.array([0.48, 0.52, 0.55, 0.45, 0.51])
    control = shuffled_labels(np.repeat(areas, 2))
    half = 4.3155 * areas.std(ddof=1) / np.sqrt(5)  # t of 4 degrees, two-sided 1.25 %
    assert control["low"] == pytest.approx(areas.mean() - half, abs=1e-4)
    assert control["passed"]
    assert not shuffled_labels(np.repeat(areas + 0.2, 2))["passed"]
    opposite = np.stack([areas, 1 - areas], axis=1).ravel()
    assert shuffled_labels(opposite)["passed"]
    assert not shuffled_labels(opposite + 0.01)["passed"]


def test_full_is_for_membership() -> None:
    assert MembershipEvaluator(controls="full").controls == "full"
    with pytest.raises(UserError, match="is for task=membership"):
        AttributionEvaluator(controls="full")
    with pytest.raises(UserError, match="expected cheap, full or none"):
        build.instantiate(
            {"_target_": "gansfp.evaluation.evaluator.MembershipEvaluator", "controls": "most"}
        )
