"""Strata against scikit-learn, brute-force densities, covariates from a table."""

from __future__ import annotations

import numpy as np
import pytest
from planted import planted_benchmark
from scipy.spatial.distance import cdist
from sklearn.metrics import roc_auc_score

from gansfp.errors import UserError
from gansfp.evaluation.intervals import delong
from gansfp.evaluation.strata import local_density, read_covariates, stratify


def test_strata_are_deciles_with_their_own_areas() -> None:
    rng = np.random.default_rng(0)
    truth, value = rng.integers(0, 2, 400), rng.normal(size=400)
    score = rng.normal(size=400) + 2 * truth * (value > 0)  # seen in one half alone
    found = stratify(truth, score, value)
    assert [one["n"] for one in found] == [40] * 10
    order = np.argsort(value)
    for number, one in enumerate(found):
        rows = order[40 * number : 40 * number + 40]
        assert (one["low"], one["high"]) == (value[rows].min(), value[rows].max())
        assert one["used"] == truth[rows].sum()
        assert one["auroc"][0] == pytest.approx(roc_auc_score(truth[rows], score[rows]))
        assert one["auroc"] == pytest.approx(list(delong(truth[rows], score[rows])))
    assert np.mean([one["auroc"][0] for one in found[5:]]) > 0.85
    assert abs(np.mean([one["auroc"][0] for one in found[:5]]) - 0.5) < 0.15


def test_equal_values_stay_together_and_few_images_make_few_strata() -> None:
    truth = np.tile([0, 1], 50)
    score = np.arange(100.0)
    found = stratify(truth, score, np.repeat([0.0, 1.0, np.nan], [70, 20, 10]))
    assert [(one["low"], one["high"], one["n"]) for one in found] == [(0, 0, 70), (1, 1, 20)]
    assert len(stratify(truth, score, np.arange(100.0))) == 5
    alone = stratify(np.ones(30, np.int64), np.arange(30.0), np.arange(30.0))
    assert [one["auroc"] for one in alone] == [None]
    assert stratify(truth, score, np.full(100, np.nan)) == []
    patients = np.repeat(np.arange(50), 2).astype(str)
    (clustered,) = stratify(truth, score, np.zeros(100), patients)
    assert clustered["auroc"] == pytest.approx(list(delong(truth, score, patients)))


def test_density_is_the_distance_to_the_fifth_real_image() -> None:
    benchmark = planted_benchmark("independent_draws", size=16).benchmark
    rows = benchmark.candidates("test")[:9]
    real = np.concatenate([benchmark.candidates(split) for split in ("train", "test")])
    one, two = (benchmark.images(part).reshape(len(part), -1) / 255.0 for part in (rows, real))
    expected = -np.log(np.sort(cdist(one, two), axis=1)[:, 5])  # the image itself comes first
    np.testing.assert_allclose(local_density(benchmark, rows), expected, rtol=1e-5)


def test_covariates_are_found_by_file_name(tmp_path) -> None:
    path = tmp_path / "burden.csv"
    path.write_text("file,burden,age\nb.png,2,\nx/a.png,1.5,70\nother.png,9,9\n")
    found = read_covariates(path, ["test/real_unknown/a.png", "test/real_unknown/b.png", "c"])
    np.testing.assert_array_equal(found["burden"], [1.5, 2, np.nan])
    np.testing.assert_array_equal(found["age"], [70, np.nan, np.nan])
    for text, message in (
        ("file\na\n", "needs a column"),
        ("file,x\na,1\na.png,2\n", "a is there twice"),
        ("file,x\na,much\n", "x: "),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            read_covariates(path, ["a"])
    with pytest.raises(UserError, match="cannot be read"):
        read_covariates(tmp_path / "none.csv", ["a"])
