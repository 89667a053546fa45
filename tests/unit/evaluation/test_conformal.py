"""Conformal p-values and false discovery control: by hand, and in simulation."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, kstest

from gansfp.discoveries import ConformalFdr
from gansfp.errors import UserError
from gansfp.evaluation.conformal import conformal_p, discover, fewest_calls


def test_p_values_by_hand_ties_count_against_a_discovery():
    assert conformal_p([5.0, 3.0, 2.5, 0.0], [1, 2, 3, 4]).tolist() == [0.2, 0.6, 0.6, 1.0]


@pytest.mark.parametrize(("known", "fewest"), [(100, 100), (250, 40), (1000, 10)])
def test_fewest_calls_at_five_percent_of_500(known, fewest):
    assert fewest_calls(500, known, 0.05) == fewest
    null, rest = np.zeros(known), np.full(500, -1.0)
    for count, called in ((fewest - 1, 0), (fewest, fewest)):
        rest[:count] = 1.0
        assert discover(rest, null, 0.05).called.sum() == called


def test_twice_as_many_that_all_but_one_are_called_too():
    known, score = np.append(np.zeros(99), 2.0), np.repeat([1.0, -1.0], [198, 302])
    assert discover(score, known, 0.05).called.sum() == 0  # 2/101 > 0.05 * 198 / 500
    score[198] = 1.0
    assert discover(score, known, 0.05).called.sum() == 199


def test_calls_are_those_of_scipy():
    rng = np.random.default_rng(0)
    known, score = rng.normal(size=300), rng.normal(size=80) + 3 * (np.arange(80) < 30)
    found = discover(score, known, 0.1)
    assert 20 <= found.called.sum() <= 45
    assert (found.called == (false_discovery_control(found.p) <= 0.1)).all()


@pytest.mark.parametrize("known", [50, 100])
def test_p_values_of_non_members_are_uniform(known):
    rng = np.random.default_rng(known)
    p = [conformal_p(rng.normal(size=1), rng.normal(size=known))[0] for _ in range(2000)]
    smoothed = np.array(p) - rng.random(2000) / (known + 1)  # off the grid of k / (n + 1)
    assert kstest(smoothed, "uniform").pvalue > 0.01


def _patients(rng, count, slices, shift=0.0):
    score = (rng.normal(size=count) + shift).repeat(slices) + 0.1 * rng.normal(size=count * slices)
    return score, np.arange(count).repeat(slices)


@pytest.mark.parametrize("slices", [1, 4])
def test_false_discovery_rate_holds_in_simulation(slices):
    rng = np.random.default_rng(slices)
    rates, power = [], []
    for _ in range(300):
        known, known_groups = _patients(rng, 200, slices)
        nulls, others = _patients(rng, 80, slices)[0], _patients(rng, 20, slices, 4.0)[0]
        score, groups = np.append(nulls, others), np.arange(100).repeat(slices)
        called = discover(score, known, 0.2, groups, known_groups).called[::slices]
        rates.append(called[:80].sum() / max(called.sum(), 1))
        power.append(called[80:].mean())
    assert 0.10 <= np.mean(rates) <= 0.2  # q times the share of nulls, 0.16, is what BH gives
    assert np.mean(power) > 0.9


def test_a_patient_is_one_candidate_by_its_mean():
    found = discover([9, 1, 0, 0], [1, 2, 3], 0.5, ["a", "a", "b", "b"], ["x", "x", "y"])
    assert (found.units, found.known) == (2, 2)
    assert found.p == pytest.approx([1 / 3, 1 / 3, 1, 1])


def _frame(score, label, group, in_sample=False):
    return pd.DataFrame({"score": score, "label": label, "group": group, "in_sample": in_sample})


def test_the_rule_calibrates_on_non_members_out_of_sample_alone(caplog):
    caplog.set_level(logging.INFO)
    calibration = _frame(
        [0.0, 1.0, 50.0, 2.0, 60.0], [0, 0, 1, 0, 0], list("abccd"), [False] * 4 + [True]
    )
    rule = ConformalFdr(q=0.4).fit(calibration)  # patient c has a used image, d is in sample
    table = pd.DataFrame({"score": [1.5, 0.5], "group": ["t", "u"]})
    assert rule.decide(table)["decision"].tolist() == [0, 0]  # 1/3 > 0.4 / 2
    assert "with 2 known non-members it calls at least 2 of 2 candidates" in caplog.text
    table["score"] = [1.5, 1.6]
    assert rule.decide(table)["decision"].tolist() == [1, 1]  # 1/3 <= 0.4 for both
    assert rule.threshold is None
    assert rule.transductive
    assert "decision" not in table


def test_the_rule_refuses_what_voids_its_guarantee():
    inside = _frame([0.0, 1.0], [0, 1], ["a", "b"], in_sample=True)
    with pytest.raises(UserError, match=r"data\.fold=0"):
        ConformalFdr().fit(inside)
    with pytest.raises(UserError, match="labelled images that were not used"):
        ConformalFdr().fit(_frame([0.0, 1.0], [1, 1], ["a", "b"]))
    with pytest.raises(UserError, match="not fitted"):
        ConformalFdr().decide(inside)
    with pytest.raises(UserError, match=r"decision\.q=5"):
        ConformalFdr(q=5)
