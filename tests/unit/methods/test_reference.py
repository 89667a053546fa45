"""Reference generators: formulas, who is trained on what, saved state, and a toy generator."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score
from torch import Tensor
from toy_regimes import draw, imitate

from gansfp.errors import UserError
from gansfp.forge.gan.module import FastGAN
from gansfp.forge.generator import GeneratorModule
from gansfp.methods.crossfit import folds_of
from gansfp.methods.keys import exclusion_keys
from gansfp.methods.reference.estimator import ReferenceEstimator
from gansfp.methods.reference.training import train_and_sample

Data = Any


class Memory(GeneratorModule):
    """Draws the images that it was trained on, in order, each grey level one higher."""

    def __init__(self, image_size: int, seed: int = 0, steps: int = 2) -> None:
        super().__init__(image_size, steps, batch_size=2, sample_batch_size=4, seed=seed)
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        return self.weight.square()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def sample_block(self, block: int, seed: int) -> Tensor:
        assert self._store is not None
        rows = (torch.arange(4) + 4 * block) % len(self._store)
        return self._store.gather(rows, rows.device) + 1

    @property
    def last_loss(self) -> float:
        return 0.0


def test_ratio_is_the_formula_for_each_fold() -> None:
    rng = np.random.default_rng(0)
    real, synthetic = rng.normal(size=(9, 3)), rng.normal(size=(20, 3))
    references = [rng.normal(size=(15, 3)), rng.normal(size=(15, 3))]
    keys = np.arange(9)
    scores = ReferenceEstimator().score_vectors(real, synthetic, references, keys)
    for x, fold, score in zip(real, folds_of(keys, 2), scores, strict=True):
        near, other = (cdist([x], side).min() for side in (synthetic, references[fold]))
        assert score == pytest.approx(np.log(other) - np.log(near))


@pytest.mark.parametrize("regime", ["kde", "mixup"])
def test_ratio_beats_raw_distance_on_generators_that_copy(regime: Any) -> None:
    toy = draw(regime, 0, members=700, synthetic=2450, outsiders=700, asked=350)
    real = np.concatenate([toy.candidates, toy.outsiders])
    keys = np.arange(len(real))
    fold, known = folds_of(keys, 2), np.arange(len(real)) >= len(toy.candidates)
    references = [imitate(regime, real[known & (fold != k)], 2450, k) for k in range(2)]
    scores = ReferenceEstimator().score_vectors(real, toy.synthetic, references, keys)
    found = roc_auc_score(toy.truth, scores[: len(toy.truth)])
    assert found > roc_auc_score(toy.truth, toy.score("nearest")) + 0.03
    asked, truth = np.arange(len(real)) < len(toy.candidates), toy.truth
    others = scores[asked][truth == 0]  # known and asked non-members are scored alike
    labels = np.repeat([0, 1], [len(others), int(known.sum())])
    area = roc_auc_score(labels, np.concatenate([others, scores[known]]))
    assert abs(area - 0.5) < 4 * 0.019


def test_a_classifier_tells_the_sets_apart() -> None:
    rng = np.random.default_rng(0)
    real = np.concatenate([rng.normal(1, 1, (50, 6)), rng.normal(0, 1, (50, 6))])
    synthetic, reference = rng.normal(1, 1, (200, 6)), rng.normal(0, 1, (200, 6))
    method = ReferenceEstimator(statistic="logistic", components=6)
    scores = method.score_vectors(real, synthetic, [reference, reference], np.arange(100))
    assert roc_auc_score(np.repeat([1, 0], 50), scores) > 0.9
    assert method.uses_synthetic == "mean"


def test_each_generator_learns_from_the_other_folds(membership: Data, tmp_path: Path) -> None:
    method = ReferenceEstimator(Memory, samples=7).fit(membership)
    benchmark = membership.benchmark
    rows = benchmark.rows("train", "real_not_used")
    fold = folds_of(exclusion_keys(benchmark, rows), 2)
    for number, samples in enumerate(method._references):
        assert samples.shape == (7, 8, 8)
        expected = {(image + 1).tobytes() for image in benchmark.images(rows[fold != number])}
        assert {image.tobytes() for image in samples} == expected
    candidates = benchmark.candidates("test")
    scores = method.predict(membership, candidates)
    np.testing.assert_array_equal(method.predict(membership, candidates[::-1]), scores[::-1])
    method.save(tmp_path)
    loaded = ReferenceEstimator.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(membership, candidates), scores)
    with pytest.raises(UserError, match="generator is not set"):
        loaded.fit(membership)
    frame = benchmark.index.frame  # other names of patients, other folds
    frame["group"] = [f"other {number}" for number in range(len(frame))]
    fresh = ReferenceEstimator.load(tmp_path)
    with pytest.raises(UserError, match="was trained on images that it would score"):
        fresh.predict(membership, candidates)


def test_a_gan_is_trained_and_drawn_from() -> None:
    make = partial(FastGAN, steps=2, batch_size=2, latent=4, width=4, sample_batch_size=4)
    images = np.random.default_rng(0).integers(0, 256, (5, 32, 32), dtype=np.uint8)
    drawn = train_and_sample(make, images, 6, seed=1, accelerator="cpu")
    assert drawn.shape == (6, 32, 32)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, train_and_sample(make, images, 6, 1, "cpu"))


def test_what_does_not_fit_is_named(membership: Data, attribution: Data) -> None:
    with pytest.raises(UserError, match=r"method.statistic=cnn: choose ratio, logistic, forest"):
        ReferenceEstimator(statistic="cnn")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"method.folds=1"):
        ReferenceEstimator(folds=1)
    with pytest.raises(UserError, match="task=membership"):
        ReferenceEstimator(Memory).fit(attribution)
    with pytest.raises(UserError, match="must derive from"):
        ReferenceEstimator(lambda **_: torch.nn.Identity()).fit(membership)  # type: ignore[arg-type,return-value]
    frame = membership.benchmark.index.frame
    frame.loc[frame["role"] == "real_not_used", ["role", "label"]] = ["real_used", "used"]
    with pytest.raises(UserError, match="known not to be used"):
        ReferenceEstimator(Memory).fit(membership)
