"""Decision rules and the sign of a score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from gansfp.decisions import (
    ArgMax,
    BestKappa,
    FixedThreshold,
    GridKappa,
    MeanPlusSd,
    MedianOfTest,
    best_kappa_threshold,
)
from gansfp.errors import UserError
from gansfp.orientation import orient


def _calibration(score, label, in_sample=False):
    return pd.DataFrame({"score": score, "label": label, "in_sample": in_sample})


@pytest.mark.parametrize("seed", range(10))
def test_best_kappa_beats_every_other_cut(seed):
    rng = np.random.default_rng(seed)
    score, label = rng.normal(size=40).round(1), rng.integers(0, 2, 40)
    cut = best_kappa_threshold(score, label)
    best = cohen_kappa_score(label, score >= cut)
    others = [cohen_kappa_score(label, score >= value) for value in np.unique(score)[1:]]
    assert best == pytest.approx(max(others))
    assert cut not in score


@pytest.mark.parametrize(
    ("score", "cut"), [([0, 1, 4, 8], 6.0), ([0, 5, 6, 7], 2.5), ([0, 1, 4, 5], 0.5)]
)
def test_ties_take_the_middle_of_the_widest_gap_then_the_lowest(score, cut):
    # One member left out or one non-member taken in: the outer cuts have the same kappa.
    assert best_kappa_threshold(np.array(score, float), np.array([0, 1, 0, 1])) == cut


def test_equal_scores_are_their_own_cut():
    assert best_kappa_threshold(np.zeros(4), np.array([0, 1, 0, 1])) == 0.0


def test_best_kappa_refuses_in_sample_images_and_says_the_cure():
    frame = _calibration([0.1, 0.9, 0.2, 0.8], [0, 1, 0, 1], in_sample=True)
    with pytest.raises(UserError, match=r"data\.fold=0.*decision=fixed or decision=median"):
        BestKappa().fit(frame)
    assert BestKappa(in_sample=True).fit(frame).threshold == pytest.approx(0.5)


def test_best_kappa_uses_only_the_images_out_of_sample():
    frame = _calibration([0.0, 1.0, 10.0, 11.0], [0, 1, 0, 1], np.array([True, True, False, False]))
    rule = BestKappa().fit(frame)
    assert rule.threshold == 10.5
    decided = rule.decide(pd.DataFrame({"score": [10.4, 10.5, 12.0]}))
    assert decided["decision"].tolist() == [0, 1, 1]


def test_best_kappa_needs_both_labels_and_a_fit():
    with pytest.raises(UserError, match="one label"):
        BestKappa().fit(_calibration([0.1, 0.2], [1, 1]))
    with pytest.raises(UserError, match=r"data\.fold=0"):
        BestKappa().decide(pd.DataFrame({"score": [0.0]}))


def test_fixed_threshold_includes_the_cut_and_leaves_the_table_alone():
    table = pd.DataFrame({"sample_id": ["a", "b"], "score": [0.6, 0.59]})
    decided = FixedThreshold(0.6).fit(_calibration([], [])).decide(table)
    assert decided["decision"].tolist() == [1, 0]
    assert "decision" not in table


@pytest.mark.parametrize("n", [2, 10, 101])
def test_median_calls_half_used_and_is_transductive(n):
    score = np.random.default_rng(n).normal(size=n)
    rule = MedianOfTest()
    decided = rule.decide(pd.DataFrame({"score": score}))
    assert decided["decision"].sum() == (n + 1) // 2
    assert rule.threshold == np.median(score)
    assert rule.transductive
    assert not BestKappa().transductive


def test_argmax_takes_the_first_of_ties():
    table = pd.DataFrame({"p_t1": [0.2, 0.5], "p_t2": [0.8, 0.5]})
    assert ArgMax().decide(table)["decision"].tolist() == ["t2", "t1"]
    with pytest.raises(UserError, match="p_<class>"):
        ArgMax().decide(pd.DataFrame({"score": [0.1]}))


@pytest.mark.parametrize("higher", [True, False])
def test_theory_keeps_the_sign_without_evidence(higher):
    rng = np.random.default_rng(0)
    label = np.repeat([1, 0], 50)
    sign, note = orient(rng.normal(size=100), label, higher)
    assert sign == (1 if higher else -1)
    assert "does not exclude 0.5" in note
    assert orient(rng.normal(size=3), None, higher)[0] == sign


@pytest.mark.parametrize("higher", [True, False])
def test_evidence_reverses_the_sign(higher):
    rng = np.random.default_rng(0)
    label = np.repeat([1, 0], 50)
    strong = rng.normal(size=100) + 2 * label
    sign, note = orient(strong, label, higher)
    assert sign == 1
    assert ("reversed against theory" in note) is (not higher)


def test_one_patient_is_no_evidence():
    rng = np.random.default_rng(1)
    label, groups = np.repeat([1, 0], 60), np.repeat(np.arange(6), 20)
    raw = np.repeat([-0.6, -0.5, 0.3, 0.2, -0.1, 0.1], 20) + 0.1 * rng.normal(size=120)
    assert orient(raw, label, True)[0] == -1
    assert orient(raw, label, True, groups)[0] == 1


def test_mean_plus_sd_reads_scores_alone() -> None:
    scores = np.array([1.0, 2.0, 3.0, 6.0])
    table = pd.DataFrame({"score": scores, "label": [1, 0, 1, 0], "in_sample": False})
    for k in (0.0, 1.5):
        rule = MeanPlusSd(k).fit(table)
        assert rule.threshold == pytest.approx(scores.mean() + k * np.std(scores))
        assert MeanPlusSd(k).fit(table.assign(label=1 - table["label"])).threshold == rule.threshold
    decided = MeanPlusSd().fit(table).decide(table)
    assert decided["decision"].tolist() == [0, 0, 1, 1]
    with pytest.raises(UserError, match="hold a fold out"):
        MeanPlusSd().fit(table.assign(in_sample=True))
    assert MeanPlusSd(in_sample=True).fit(table.assign(in_sample=True)).threshold == 3


def test_grid_kappa_is_the_best_of_its_cuts() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 60)
    score = np.clip(0.5 + 0.1 * label + rng.normal(0, 0.1, 60), 0, 1)
    table = pd.DataFrame({"score": score, "label": label, "in_sample": False})
    rule = GridKappa(0.4, 0.9, 26).fit(table)
    cuts = np.linspace(0.4, 0.9, 26)
    kappas = [cohen_kappa_score(label, score >= cut) for cut in cuts]
    assert rule.threshold == pytest.approx(cuts[int(np.argmax(kappas))])
    np.testing.assert_allclose(GridKappa(0.5, 0.9, 21).cuts, np.arange(0.5, 0.901, 0.02))
    with pytest.raises(UserError, match="nothing to choose from"):
        GridKappa(0.9, 0.4)
