"""Evaluators and cheap controls on small benchmarks."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from gansfp.data.benchmark import Benchmark
from gansfp.data.index import Index
from gansfp.data.store import ImageStore
from gansfp.decisions import ArgMax, FixedThreshold
from gansfp.errors import UserError
from gansfp.evaluation.controls import (
    attribution_controls,
    blind_on_labelled,
    blind_on_test,
    file_order,
    order_halves,
)
from gansfp.evaluation.evaluator import AttributionEvaluator, MembershipEvaluator
from gansfp.evaluation.metrics import attribution_metrics, membership_metrics
from gansfp.evaluation.ranking import auroc


def _membership(tmp_path, shift=0.0, patients=None, labels_file=True, seed=0):
    """Noise images; members are brighter by `shift` standard deviations of their mean."""
    rng = np.random.default_rng(seed)
    kinds = [("train", "real_used")] * 60 + [("train", "real_not_used")] * 60
    kinds += [("test", "real_unknown")] * 120
    truth = rng.permutation(np.repeat([1, 0], 60))
    member = np.r_[np.ones(60), np.zeros(60), truth]
    level = 100 + 10 * rng.normal(size=240) + 10 * shift * member
    pixels = level[:, None, None] + 20 * rng.normal(size=(240, 24, 24))
    ids = [f"{split}/{role}/img_{k}.png" for k, (split, role) in enumerate(kinds)]
    groups = ids if patients is None else [f"p{g}" for g in patients(member)]
    frame = pd.DataFrame(
        {
            "sample_id": ids,
            "path": [str(tmp_path / name) for name in ids],
            "split": [split for split, _ in kinds],
            "role": [role for _, role in kinds],
            "label": pd.Series(["used"] * 60 + ["not_used"] * 60 + [None] * 120, dtype=object),
            "group": groups,
        }
    )
    if labels_file:
        (tmp_path / "test").mkdir(exist_ok=True)
        lines = [f"img_{k + 120},{label}" for k, label in enumerate(truth)]
        (tmp_path / "test/labels.csv").write_text("file,label\n" + "\n".join(lines))
    store = ImageStore(pixels.clip(0, 255).astype(np.uint8))
    return Benchmark("membership", Index(frame), store), truth


def _table(benchmark, rows, score):
    frame = benchmark.index.frame.iloc[rows][["sample_id", "group"]].reset_index(drop=True)
    return FixedThreshold(0.0).decide(frame.assign(raw_score=score, score=score))


def _quick(**options):
    return MembershipEvaluator(bootstrap=300, permutations=500, **options)


def test_membership_result_is_plain_json_with_the_right_numbers(tmp_path):
    benchmark, truth = _membership(tmp_path)
    rows = benchmark.candidates("test")
    score = np.random.default_rng(1).normal(size=120) + 1.5 * (truth - 0.5)
    table = _table(benchmark, rows, score)
    result = _quick().evaluate(table, benchmark, threshold=0.0, orientation="by theory")
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    expected = membership_metrics(truth, table["decision"], score)
    tpr, fpr = expected["recall"], 1 - expected["specificity"]
    for share in (0.5, 0.1, 0.01):
        expected[f"ppv_at_{100 * share:.0f}"] = share * tpr / (share * tpr + (1 - share) * fpr)
    for name, (value, low, high) in result["test"]["metrics"].items():
        assert value == pytest.approx(expected[name])
        assert low <= value <= high
    assert result["test"]["chance"]["kappa"] == pytest.approx(1 / 501)
    assert result["unit"] == "image"
    assert result["patients"] is None
    assert result["valid"] is True
    density = result["strata"]["local density"]
    assert sum(stratum["n"] for stratum in density) == result["test"]["n"]
    assert len(density) == result["test"]["n"] // 20
    assert result == _quick().evaluate(table, benchmark, threshold=0.0, orientation="by theory")


def test_patients_are_the_unit_where_groups_are_known(tmp_path):
    def pairs_of_one_kind(member):
        number = np.zeros(240, int)
        for part, start in ((slice(0, 120), 0), (slice(120, 240), 1000)):
            for kind in (0, 1):
                rows = np.flatnonzero(member[part] == kind) + part.start
                number[rows] = np.arange(len(rows)) // 4 + start + 500 * kind
        return number

    benchmark, truth = _membership(tmp_path, patients=pairs_of_one_kind)
    rows = benchmark.candidates("test")
    score = np.random.default_rng(1).normal(size=120) + 1.0 * (truth - 0.5)
    result = _quick().evaluate(_table(benchmark, rows, score), benchmark, threshold=0.0)
    assert result["unit"] == "patient"
    assert result["patients"]["n"] == 30
    mean = pd.Series(score).groupby(benchmark.groups(rows)).mean()
    label = pd.Series(truth).groupby(benchmark.groups(rows)).first()
    expected = membership_metrics(label, (mean >= 0).astype(int), mean)
    assert result["patients"]["metrics"]["auroc"][0] == pytest.approx(expected["auroc"])
    assert result["patients"]["metrics"]["kappa"][0] == pytest.approx(expected["kappa"])


def test_without_truth_only_the_validation_images_are_measured(tmp_path):
    benchmark, _ = _membership(tmp_path, labels_file=False)
    rows, held_out = benchmark.candidates("test"), benchmark.candidates("train")[::3]
    rng = np.random.default_rng(0)
    validation = _table(benchmark, held_out, rng.normal(size=len(held_out)))
    validation["label"] = (benchmark.labels(held_out) == "used").astype(int)
    validation["in_sample"] = False
    table = _table(benchmark, rows, rng.normal(size=120))
    result = _quick().evaluate(table, benchmark, None, validation)
    assert result["test"] is None
    assert result["validation"]["n"] == len(held_out)
    assert result["validation"]["in_sample"] is False
    assert "no test/labels.csv" in result["note"]
    assert list(result["controls"]) == ["blind"]


def test_truth_that_does_not_fit_is_refused(tmp_path):
    benchmark, _ = _membership(tmp_path)
    rows = benchmark.candidates("test")
    (tmp_path / "T.csv").write_text("img_120,1\n")
    with pytest.raises(UserError, match="119 images have no label"):
        _quick().evaluate(_table(benchmark, rows, np.zeros(120)), benchmark, tmp_path / "T.csv")


def test_the_blind_baseline_catches_a_planted_shift_and_invalidates(tmp_path):
    benchmark, truth = _membership(tmp_path, shift=3.0)
    rows = benchmark.candidates("test")
    assert blind_on_test(benchmark, rows, truth, None)["value"] >= 0.9
    assert blind_on_labelled(benchmark)["value"] >= 0.9
    result = _quick().evaluate(_table(benchmark, rows, truth - 0.5), benchmark)
    assert result["valid"] is False
    assert result["invalid_reason"].startswith("blind ")
    unchecked = _quick(controls="none").evaluate(_table(benchmark, rows, truth - 0.5), benchmark)
    assert unchecked["valid"] is None


def test_the_blind_baseline_is_at_chance_without_a_shift(tmp_path):
    found = []
    for seed in range(6):
        benchmark, truth = _membership(tmp_path, seed=seed)
        found += [
            blind_on_test(benchmark, benchmark.candidates("test"), truth, None),
            blind_on_labelled(benchmark),
        ]
    assert sum(not control["passed"] for control in found) <= 1
    assert np.mean([control["value"] for control in found]) == pytest.approx(0.5, abs=0.06)


class TestMembersAgainstMembers:
    @staticmethod
    def control(score, groups=None, names=None, seed=0):
        names = names or [f"img_{k}.png" for k in range(len(score))]
        groups = np.array(names if groups is None else groups).astype(str)
        return order_halves(np.asarray(score, float), groups, names, "used", seed)

    def test_a_score_free_of_order_passes_at_its_level(self):
        rng = np.random.default_rng(0)
        passed = [
            self.control(rng.exponential(size=n), seed=k)["passed"]
            for k, n in enumerate([16, 40, 81, 250] * 40)
        ]
        assert np.mean(passed) > 0.96  # expected 0.9875

    @pytest.mark.parametrize("n", [16, 50, 120, 500])
    def test_a_score_that_follows_the_names_is_caught(self, n):
        control = self.control(np.arange(n))
        assert control["value"] == pytest.approx(1.0)
        assert not control["passed"]
        assert not self.control(-np.arange(n))["passed"]

    def test_so_is_one_that_does_so_in_part(self):
        noise = np.random.default_rng(1).normal(size=300)
        assert not self.control(np.linspace(-1, 1, 300) + noise)["passed"]
        hump = np.abs(np.linspace(-1, 1, 300)) < 0.5
        assert not self.control(1.5 * hump + noise)["passed"]

    def test_the_value_is_an_auroc(self):
        score = np.random.default_rng(5).normal(size=16).round(1)
        later = [np.isin(np.arange(16), np.arange(k, k + 8), invert=True) for k in range(8)]
        areas = np.array([auroc(half.astype(int), score) for half in later])
        expected = areas[np.abs(areas - 0.5).argmax()]
        assert self.control(score)["value"] == pytest.approx(expected)

    def test_natural_order_is_meant(self):
        names = [f"img_{k}.png" for k in np.random.default_rng(2).permutation(200)]
        score = [int(name[4:-4]) for name in names]
        assert not self.control(score, names=names)["passed"]

    def test_neighbours_of_one_patient_raise_no_alarm(self):
        rng = np.random.default_rng(3)
        slices = [np.repeat(rng.normal(size=100), 4) for _ in range(60)]
        alarms = [not self.control(score, seed=k)["passed"] for k, score in enumerate(slices)]
        assert np.mean(alarms) <= 0.05
        patients = np.repeat(np.arange(40), 10)
        alarms = [
            not self.control(rng.normal(size=40)[patients], patients, seed=k)["passed"]
            for k in range(60)
        ]
        assert np.mean(alarms) <= 0.05

    def test_patients_of_unequal_size_raise_no_alarm(self):
        rng = np.random.default_rng(4)
        patients = np.repeat(np.arange(60), rng.integers(1, 12, 60))
        sizes = np.bincount(patients)[patients]
        alarms = []
        for k in range(60):
            mixed = rng.permutation(len(patients))  # files in random order, as a forge names them
            alarms.append(not self.control(sizes[mixed], patients[mixed], seed=k)["passed"])
        assert np.mean(alarms) <= 0.05

    def test_equal_scores_and_few_patients(self):
        assert self.control(np.ones(50))["passed"]
        assert self.control(np.arange(15)) is None
        assert self.control(np.ones(40), ["a"] * 40) is None


def test_a_planted_order_leak_invalidates_the_result(tmp_path):
    benchmark, _ = _membership(tmp_path)
    rows = benchmark.candidates("test")
    score = np.random.default_rng(0).normal(size=len(rows))
    assert _quick().evaluate(_table(benchmark, rows, score), benchmark)["valid"]
    leaky = _table(benchmark, rows, score + np.linspace(-2, 2, len(rows)))
    result = _quick().evaluate(leaky, benchmark)
    assert result["valid"] is False
    assert "members" in result["invalid_reason"]
    assert "blind" not in result["invalid_reason"]


def test_sorted_file_names_give_the_truth_away():
    rng = np.random.default_rng(0)
    names, truth = [f"img_{k}.png" for k in range(90)], np.repeat([0, 1, 2], 30)
    groups = np.array(names)
    assert not file_order(truth, groups, names, 0)["passed"]
    assert file_order(rng.permutation(truth), groups, names, 0)["passed"]


def test_slices_of_a_patient_in_a_row_are_no_leak():
    names = [f"img_{k}.png" for k in range(120)]
    patients = np.repeat(np.arange(30), 4)
    truth = np.random.default_rng(2).permutation(np.repeat([0, 1], 15))[patients]
    assert file_order(truth, patients.astype(str), names, 0)["passed"]


def test_attribution_result(tmp_path):
    rng = np.random.default_rng(0)
    classes, n = ("t1", "t2", "t3"), 90
    truth = rng.choice(classes, n)
    ids = [f"test/generated_unknown/g_{k}.png" for k in range(n)]
    frame = pd.DataFrame(
        {
            "sample_id": ids,
            "path": [str(tmp_path / name) for name in ids],
            "split": "test",
            "role": "generated_unknown",
            "label": None,
            "group": ids,
        }
    )
    (tmp_path / "test").mkdir()
    (tmp_path / "test/labels.csv").write_text(
        "\n".join(f"g_{k},gen_{t}" for k, t in enumerate(truth))
    )
    store = ImageStore(np.zeros((n, 8, 8), np.uint8))
    benchmark = Benchmark("attribution", Index(frame), store, classes)
    scores = rng.random((n, 3)) + 0.6 * (truth[:, None] == np.array(classes))
    table = frame[["sample_id", "group"]].assign(
        **{f"p_{c}": scores[:, k] for k, c in enumerate(classes)}
    )
    table = ArgMax().decide(table)
    result = AttributionEvaluator(bootstrap=300, permutations=500).evaluate(table, benchmark)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    expected = attribution_metrics(truth, table["decision"], classes)
    assert result["test"]["confusion"] == expected["confusion"]
    for name, (value, low, high) in result["test"]["metrics"].items():
        assert value == pytest.approx(expected[name])
        assert low <= value <= high
    assert result["test"]["chance"]["accuracy"] == pytest.approx(1 / 501)
    assert result["valid"] is True


def test_bad_options_are_user_errors():
    with pytest.raises(UserError, match="expected cheap or none"):
        MembershipEvaluator(controls="full")
    with pytest.raises(UserError, match="at least 1"):
        MembershipEvaluator(bootstrap=0)


class TestAttributionHalves:
    @staticmethod
    def control(right, truth, seed=0):
        names = [f"img_{k}.png" for k in range(len(truth))]
        decision = np.where(right, truth, (truth + 1) % 3)
        return attribution_controls(truth, decision, np.array(names), names, seed)["halves"]

    def test_easy_and_hard_classes_raise_no_alarm(self):
        rng = np.random.default_rng(0)
        truth = np.repeat([0, 1, 2], 60)  # the classes one after the other
        passed = [
            self.control(rng.random(180) < np.array([0.2, 0.5, 0.9])[truth], truth, k)["passed"]
            for k in range(60)
        ]
        assert np.mean(passed) >= 0.95

    def test_right_at_first_and_wrong_later_is_caught(self):
        truth = np.random.default_rng(1).integers(0, 3, 180)
        control = self.control(np.arange(180) < 60, truth)
        assert not control["passed"]
        assert control["value"] < 0.3
