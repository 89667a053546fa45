"""The table of patients, null audits, and their rate of alarms."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gansfp.shadows.leave_one_out import leave_one_out
from gansfp.shadows.patients import alarm_rate, exact_rank_p, null_audits, vulnerability


def test_an_exposed_patient_comes_first(noise_table):
    table = noise_table(generators=12, patients=40)
    table.distances[:, 7] *= np.where(table.membership[:, 7], 0.01, 1.0)[:, None]
    scores = leave_one_out(table, ["reference"]).scores["reference"]
    names = np.array([f"p{k}" for k in range(40)])
    frame = vulnerability(table, scores, names)
    first = frame.iloc[0]
    assert first["group"] == "p7"
    assert first["auroc"] == 1.0
    assert first["caught"] == 1.0
    # 6 inside against 6 outside, all above: 1 of the 924 orders
    assert first["p"] == pytest.approx(1 / 924, rel=1e-6)
    assert (frame["inside"] == 6).all()
    rest = frame.iloc[1:]
    assert rest["accused"].mean() == pytest.approx(0.05, abs=0.04)
    assert (rest["q"] > 0.05).all()


def test_the_exact_test_is_scipys_without_ties_and_every_order_with_them():
    rng = np.random.default_rng(0)
    one, two = rng.normal(0.5, 1, 5), rng.normal(0, 1, 7)
    expected = stats.mannwhitneyu(one, two, alternative="greater", method="exact").pvalue
    assert exact_rank_p(one, two) == pytest.approx(expected, rel=1e-12)
    values = np.array([3.0, 2, 2, 1, 1, 1, 0, 2])
    ranks = stats.rankdata(values)
    sums = [ranks[list(chosen)].sum() for chosen in itertools.combinations(range(8), 3)]
    expected = np.mean(np.array(sums) >= ranks[:3].sum())
    assert exact_rank_p(values[:3], values[3:]) == pytest.approx(expected, rel=1e-12)


def test_a_ranking_within_generators_forgets_their_scale(noise_table):
    table = noise_table(generators=8, patients=30, shift=0.3)
    scores = leave_one_out(table, ["reference"]).scores["reference"]
    names = np.array([f"p{k:02d}" for k in range(30)])
    moved = scores * np.arange(1, 9)[:, None] + np.arange(8)[:, None]
    pd.testing.assert_frame_equal(
        vulnerability(table, scores, names), vulnerability(table, moved, names)
    )


def test_null_audits_hold_their_level_and_planted_members_are_flagged(noise_table):
    alarms, share = [], []
    for seed in range(8):
        table = noise_table(generators=6, patients=200, seed=seed)
        scores = leave_one_out(table, ["reference"]).scores["reference"]
        audits = null_audits(table, scores, audits=5, q=0.1, seed=seed)
        assert (audits["known"] == 50).all()
        assert (audits["members"] == 0).all()
        assert (audits["false"] == audits["flagged"]).all()
        alarms.append((audits["flagged"] > 0).mean())
        scores[table.membership] += 10
        planted = null_audits(table, scores, audits=2, q=0.1, members=0.3, seed=seed)
        assert (planted["found"] == planted["members"]).all()
        share.append((planted["false"] / planted["flagged"]).mean())
    assert np.mean(alarms) <= 0.1 + 2 * np.std(alarms, ddof=1) / np.sqrt(8)
    assert np.mean(share) <= 0.12


def test_the_interval_of_clustered_alarms_is_wider():
    names = np.repeat(["a", "b", "c", "d"], 10)
    spread = pd.DataFrame({"generator": names, "flagged": [1, 0, 0, 0, 0] * 8})
    clustered = pd.DataFrame({"generator": names, "flagged": [1] * 8 + [0] * 32})
    first, second = alarm_rate(spread), alarm_rate(clustered)
    assert first.value == second.value == 0.2
    assert second.high - second.low > 1.5 * (first.high - first.low)
