"""Similarity methods against numpy and scikit-learn, on noise of 8x8 pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gansfp.errors import UserError
from gansfp.features.similarities import SSIM, Cosine, Jaccard
from gansfp.methods.heads import Logistic
from gansfp.methods.similarity.estimator import SimilarityEstimator
from gansfp.methods.similarity.statistics import real_to_real, statistic

Data = Any


def _cosines(data: Data, rows: np.ndarray) -> np.ndarray:
    real, made = (data.benchmark.images(r) for r in (rows, data.generated_rows))
    return cosine_similarity(real.reshape(len(real), -1), made.reshape(len(made), -1))


def test_statistics_are_those_of_numpy(membership: Data) -> None:
    rows = membership.benchmark.candidates("test")
    full = _cosines(membership, rows)
    expected = {
        "max": full.max(1),
        "mean": full.mean(1),
        "sd": full.std(1),
        "top": np.sort(full, axis=1)[:, -3:].mean(1),
        "sigmoid": expit(7 * (full.max(1) - 0.5)),
    }
    for name, values in expected.items():
        method = SimilarityEstimator(statistics=[name], top=3).fit(membership)
        np.testing.assert_allclose(method.predict(membership, rows), values, atol=1e-6)
        assert not method.fits_labels
        assert method.uses_synthetic == ("mean" if name in ("mean", "sd") else "nearest")
    assert statistic(full.astype(np.float32), "top", 10**6) == pytest.approx(full.mean(1))


def test_chosen_and_count_look_from_the_synthetic_side() -> None:
    matrix = np.array([[0.9, 0.2, 0.4], [0.1, 0.3, 0.8], [0.3, 0.25, 0.6]], np.float32)
    np.testing.assert_allclose(statistic(matrix, "count"), [1, 2, 0])
    np.testing.assert_allclose(statistic(matrix, "chosen"), [0.9, 0.8, 0.6 - 2], atol=1e-6)
    assert SimilarityEstimator(statistics=["count"]).transductive
    assert not SimilarityEstimator(statistics=["max"]).transductive


def test_baseline_is_real_to_real_between_patients(membership: Data) -> None:
    rows = membership.benchmark.candidates("train")
    images = membership.benchmark.images(rows).reshape(len(rows), -1)
    among, groups = cosine_similarity(images), membership.benchmark.groups(rows)
    apart = among[groups[:, None] != groups]
    assert len(apart) == 12 * 10
    test = membership.benchmark.candidates("test")
    best = _cosines(membership, test).max(1)
    for name, level in (("max", apart.max()), ("mean_sd", apart.mean() + 3 * apart.std())):
        method = SimilarityEstimator(baseline=name).fit(membership)
        np.testing.assert_allclose(method.predict(membership, test), best - level, atol=1e-6)
    with pytest.raises(UserError, match="two patients"):
        real_to_real(among.astype(np.float32), np.array(["p"] * 12), "max")


def test_a_head_learns_from_the_statistics(membership: Data) -> None:
    names = ["max", "mean", "sd", "top"]
    method = SimilarityEstimator(statistics=names, top=5, head=Logistic(c=2.0)).fit(membership)
    fit, test = membership.fit_rows, membership.benchmark.candidates("test")
    inputs = [
        np.stack([f.max(1), f.mean(1), f.std(1), np.sort(f, 1)[:, -5:].mean(1)], axis=1)
        for f in (_cosines(membership, rows) for rows in (fit, test))
    ]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=2.0))
    model.fit(inputs[0], membership.benchmark.targets(fit))
    expected = model.predict_proba(inputs[1])[:, 1]
    np.testing.assert_allclose(method.predict(membership, test), expected, atol=1e-4)
    assert method.fits_labels


def test_a_held_out_image_changes_no_fit(membership: Data) -> None:
    data = type(membership)(fold=0, folds=3)
    data.__dict__["benchmark"] = membership.benchmark
    rows, test = data.holdout_rows, data.benchmark.candidates("test")
    before = SimilarityEstimator(head=Logistic()).fit(data).predict(data, test)
    data.benchmark.store.pixels[rows] = 0
    after = SimilarityEstimator(head=Logistic()).fit(data).predict(data, test)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    "options",
    [
        {"similarity": SSIM(window=3, device="cpu"), "baseline": "max"},
        {"similarity": Jaccard(filters=["gaussian"]), "statistics": ["top"], "top": 2},
        {"similarity": Cosine(), "statistics": ["max", "sd"], "head": Logistic()},
    ],
    ids=["ssim", "jaccard", "logistic"],
)
def test_saved_and_loaded_gives_the_same(
    options: dict[str, Any], membership: Data, tmp_path: Path
) -> None:
    method = SimilarityEstimator(**options).fit(membership)
    method.save(tmp_path / "model")
    loaded = SimilarityEstimator.load(tmp_path / "model")
    rows = np.random.default_rng(0).permutation(membership.benchmark.candidates("test"))
    np.testing.assert_array_equal(
        loaded.predict(membership, rows), method.predict(membership, rows)
    )
    assert loaded.predict(membership, rows[:0]).shape == (0,)
    with pytest.raises(UserError, match="no saved similarity method"):
        SimilarityEstimator.load(tmp_path)


def test_wrong_options_name_the_key(membership: Data, attribution: Data) -> None:
    with pytest.raises(UserError, match=r"method.statistics=\['max', 'mean'\]"):
        SimilarityEstimator(statistics=["max", "mean"])
    with pytest.raises(UserError, match=r"method.statistics: 'best': choose max"):
        SimilarityEstimator(statistics=["best"]).fit(membership).predict(membership, np.array([25]))
    with pytest.raises(UserError, match=r"method\.baseline"):
        SimilarityEstimator(baseline="max", head=Logistic())
    with pytest.raises(UserError, match=r"method\.baseline=min"):
        SimilarityEstimator(baseline="min").fit(membership)
    with pytest.raises(UserError, match="task=membership"):
        SimilarityEstimator().fit(attribution)


def test_resnet50_has_2048_features() -> None:
    assert timm.create_model("resnet50").num_features == 2048
