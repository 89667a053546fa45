"""Metrics against scikit-learn, and the published membership table from its confusion matrices."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from gansfp.evaluation.metrics import attribution_metrics, binary_counts, membership_metrics
from gansfp.evaluation.published import published_run, table2, table3
from gansfp.evaluation.ranking import RankedSample, auroc, average_precision, midranks, tpr_at_fpr


def _binary_cases():
    rng = np.random.default_rng(0)
    cases = [
        (rng.integers(0, 2, n), rng.random(n).round(digits))
        for n in (2, 3, 7, 50, 200)
        for digits in (0, 1, 8)
        for _ in range(5)
    ]
    ones, zeros = np.ones(6, int), np.zeros(6, int)
    return [
        *cases,
        (ones, zeros * 1.0),
        (zeros, zeros * 1.0),
        (ones, ones * 1.0),
        (zeros, ones * 1.0),
    ]


@pytest.mark.parametrize(("truth", "score"), _binary_cases())
def test_membership_metrics_equal_scikit_learn(truth, score):
    decision = (score >= 0.5).astype(int)
    ours = membership_metrics(truth, decision, score)
    options = {"zero_division": 0, "labels": [0, 1]}
    assert ours["n"] == len(truth)
    tn, fp, fn, tp = sk.confusion_matrix(truth, decision, labels=[0, 1]).ravel()
    assert (ours["tp"], ours["fp"], ours["fn"], ours["tn"]) == (tp, fp, fn, tn)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kappa = np.nan_to_num(sk.cohen_kappa_score(truth, decision))
        precision, recall, f1, _ = sk.precision_recall_fscore_support(truth, decision, **options)
        ap = sk.average_precision_score(truth, score) if truth.any() else np.nan
    assert ours["kappa"] == pytest.approx(kappa, abs=1e-12)
    assert ours["accuracy"] == pytest.approx(sk.accuracy_score(truth, decision))
    assert ours["precision"] == pytest.approx(precision[1])
    assert ours["recall"] == pytest.approx(recall[1])
    assert ours["f1"] == pytest.approx(f1[1])
    assert ours["specificity"] == pytest.approx(recall[0])
    assert ours["average_precision"] == pytest.approx(ap, nan_ok=True)
    if len(set(truth)) == 2:
        assert ours["auroc"] == pytest.approx(sk.roc_auc_score(truth, score), abs=1e-12)
        fpr, tpr, _ = sk.roc_curve(truth, score, drop_intermediate=False)
        for name, level in (("tpr_at_1fpr", 0.01), ("tpr_at_10fpr", 0.1)):
            assert ours[name] == pytest.approx(tpr[fpr <= level + 1e-12].max())
    else:
        assert np.isnan(ours["auroc"])
        assert np.isnan(ours["tpr_at_1fpr"])


@pytest.mark.parametrize("seed", range(20))
def test_attribution_metrics_equal_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    classes = [f"t{k}" for k in range(1, 2 + rng.integers(1, 6))]
    n = int(rng.integers(1, 80))
    present = classes[: max(1, len(classes) - seed % 3)]  # some classes occur nowhere
    truth, decision = rng.choice(present, n), rng.choice(present, n)
    if seed % 4 == 0:
        decision = np.full(n, present[0])
    ours = attribution_metrics(truth, decision, classes)
    assert ours["accuracy"] == pytest.approx((truth == decision).mean())
    for average, suffix in (("weighted", ""), ("macro", "_macro")):
        expected = sk.precision_recall_fscore_support(
            truth, decision, labels=classes, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), expected, strict=False):
            assert ours[name + suffix] == pytest.approx(value)
    matrix = sk.confusion_matrix(truth, decision, labels=classes)
    assert [list(row.values()) for row in ours["confusion"].values()] == matrix.tolist()
    one_vs_rest = [
        sk.recall_score(truth != name, decision != name, zero_division=0) for name in classes
    ]
    support = [np.mean(truth == name) for name in classes]
    assert ours["specificity_macro"] == pytest.approx(np.mean(one_vs_rest))
    assert ours["specificity"] == pytest.approx(np.dot(one_vs_rest, support))


def test_weighted_recall_is_the_accuracy_and_balanced_macro_specificity_follows_from_it():
    rng = np.random.default_rng(3)
    classes = ["t1", "t2", "t3", "t4", "t5"]
    truth = np.repeat(classes, 40)
    ours = attribution_metrics(truth, rng.choice(classes, 200), classes)
    assert ours["recall"] == pytest.approx(ours["accuracy"])
    assert ours["specificity_macro"] == pytest.approx(1 - (1 - ours["accuracy"]) / 4)


def test_tables_have_all_rows():
    assert len({row.run for row in table2()}) == len(table2()) == 33
    assert len({row.run for row in table3()}) == len(table3()) == 11
    known = {row.run for row in (*table2(), *table3())}
    aliases = {row.run: row.alias_of for row in (*table2(), *table3()) if row.alias_of}
    assert set(aliases.values()) <= known - set(aliases)
    assert aliases["1492"] == "1696"
    assert aliases["1777"] == "1776"
    assert published_run("1878").official == 0.148
    assert published_run("1396").official == 0.9904
    assert published_run("9999") is None


@pytest.mark.parametrize("row", table2(), ids=lambda row: row.run)
def test_table2_follows_from_its_confusion_matrices_to_every_printed_digit(row):
    counts = row.confusion
    truth = np.repeat([1, 0, 1, 0], [counts["tp"], counts["fp"], counts["fn"], counts["tn"]])
    decision = np.repeat([1, 1, 0, 0], [counts["tp"], counts["fp"], counts["fn"], counts["tn"]])
    assert truth.sum() == 250
    assert len(truth) == 500
    ours = membership_metrics(truth, decision)
    assert {name: f"{ours[name]:.4f}" for name in row.printed} == {
        name: f"{value:.4f}" for name, value in row.printed.items()
    }


def test_table3_recall_is_the_accuracy_so_the_average_is_weighted():
    assert all(row.printed["recall"] == row.printed["accuracy"] for row in table3())


def test_midranks_share_ties():
    np.testing.assert_array_equal(midranks([3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0])


@pytest.mark.parametrize(("scale", "shift"), [(1e3, 0), (1, 1e4), (1e-9, 0), (-1, 0)])
def test_ranking_does_not_depend_on_the_scale(scale, shift):
    rng = np.random.default_rng(1)
    truth, score = rng.integers(0, 2, 300), rng.normal(size=300)
    moved = score * scale + shift
    expected = auroc(truth, score) if scale > 0 else 1 - auroc(truth, score)
    assert auroc(truth, moved) == pytest.approx(expected, abs=1e-12)
    if scale > 0:
        assert tpr_at_fpr(truth, moved, 0.1) == tpr_at_fpr(truth, score, 0.1)
        assert average_precision(truth, moved) == pytest.approx(average_precision(truth, score))


def test_weighted_ranking_equals_repeating_images():
    rng = np.random.default_rng(2)
    truth, score = rng.integers(0, 2, 60), rng.normal(size=60).round(1)
    weights = rng.integers(0, 4, (5, 60))
    sample = RankedSample.of(truth, score)
    areas = sample.auroc(weights.astype(float))
    rates = sample.tpr_at_fpr(weights.astype(float), 0.1)
    precisions = sample.average_precision(weights.astype(float))
    for row, area, rate, precision in zip(weights, areas, rates, precisions, strict=True):
        repeated = np.repeat(truth, row), np.repeat(score, row)
        assert area == pytest.approx(sk.roc_auc_score(*repeated))
        assert rate == pytest.approx(tpr_at_fpr(*repeated, 0.1))
        assert precision == pytest.approx(sk.average_precision_score(*repeated))


def test_fpr_level_is_at_most_not_below():
    truth = np.r_[np.ones(10), np.zeros(10)].astype(int)
    score = np.r_[np.linspace(0.5, 0.9, 10), np.linspace(0.0, 0.4, 9), 0.7]
    assert tpr_at_fpr(truth, score, 0.1) == 1.0  # 1 of 10 is exactly 0.1
    assert tpr_at_fpr(truth, score, 0.09) == pytest.approx((score[:10] > 0.7).mean())


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="other than 0 and 1"):
        binary_counts([0, 2], [0, 1])
    with pytest.raises(ValueError, match="shape"):
        binary_counts([0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="not finite"):
        auroc([0, 1], [0.0, np.nan])
    with pytest.raises(ValueError, match="'t9'"):
        attribution_metrics(["t1"], ["t9"], ["t1", "t2"])
