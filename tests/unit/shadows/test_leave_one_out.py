"""Attacks over a bank: they find what is there, nothing where nothing is, and don't leak."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gansfp.errors import UserError
from gansfp.evaluation.ranking import auroc
from gansfp.features.representations import Pixels
from gansfp.shadows.attacks import ATTACKS
from gansfp.shadows.case import independent
from gansfp.shadows.learned import fit_shadows, learned_score
from gansfp.shadows.leave_one_out import Outcome, compare, leave_one_out, measure, summarise
from gansfp.shadows.table import BankTable, measured

SHADOW = [name for name in ATTACKS if name not in ("nearest", "pool_ratio")]


def mean_auroc(table, outcome):
    frame = summarise(measure(table, outcome))
    return frame[frame["metric"] == "auroc"].set_index("attack")


def test_distances_are_brute_force(toy_bank, tmp_path):
    bank = toy_bank(generators=2, patients=12, per_patient=2, samples=9)
    table = BankTable.of(bank, Pixels())
    real = bank.real.reshape(24, -1) / 255
    for number, images in enumerate(bank.generated.values()):
        full = np.sort(cdist(real, images.reshape(9, -1) / 255), axis=1)[:, :5]
        np.testing.assert_allclose(table.distances[number], full, rtol=1e-5)
    pool = cdist(real, real)
    pool[bank.groups[:, None] == bank.groups] = np.inf
    np.testing.assert_allclose(table.pool, np.sort(pool, axis=1)[:, :5], rtol=1e-5)
    first = measured(bank, Pixels(), tmp_path / "d.npz")
    again = measured(bank, Pixels(), tmp_path / "d.npz")
    np.testing.assert_array_equal(first.distances, again.distances)
    bank.real[0, 0, 0] ^= 255
    other = measured(bank, Pixels(), tmp_path / "d.npz")
    assert (other.distances[:, 0] != first.distances[:, 0]).any()


def test_the_complement_of_a_target_is_no_shadow_generator(noise_table):
    membership = noise_table().membership
    for target in range(8):
        partner = target ^ 1
        assert partner not in independent(membership, target)
        assert len(independent(membership, target)) == 6


def test_shadow_attacks_find_members_that_raw_distances_hide(toy_bank):
    bank = toy_bank()
    table = BankTable.of(bank, Pixels())
    found = mean_auroc(table, leave_one_out(table, list(ATTACKS)))
    assert (found.loc[SHADOW, "value"] > 0.9).all()
    differences = compare(measure(table, leave_one_out(table, ["nearest", "reference"])))
    row = differences[differences["metric"] == "auroc"].iloc[0]
    assert row["baseline"] == "nearest"
    assert row["difference"] == pytest.approx(
        found.loc["reference", "value"] - found.loc["nearest", "value"]
    )


def test_without_a_leak_nothing_is_found(noise_table):
    """Also not through who else knows an image: 30 banks, every score at 1/2."""
    values = {name: [] for name in ATTACKS}
    for seed in range(30):
        table = noise_table(generators=6, patients=40, seed=seed)
        scores = leave_one_out(table, list(ATTACKS), seed=seed).scores
        for name, of_name in scores.items():
            areas = [auroc(table.membership[k], of_name[k]) for k in range(6)]
            values[name].append(np.mean(areas))
    for name, of_name in values.items():
        error = np.std(of_name, ddof=1) / np.sqrt(len(of_name))
        assert abs(np.mean(of_name) - 0.5) < 3.5 * error, name
        assert error < 0.02, name


def test_with_its_complement_among_the_shadows_a_target_would_leak(noise_table):
    """The reason why `independent` leaves it out: truth alone, no distance, gives members away."""
    table = noise_table(generators=8, patients=200, seed=1)
    others = np.arange(1, 8)
    inside = table.membership[others].sum(axis=0)
    assert auroc(table.membership[0], -inside.astype(float)) == 1.0
    kept = independent(table.membership, 0)
    assert (table.membership[kept].sum(axis=0) == 3).all()


def test_a_stronger_shift_is_found_better(noise_table):
    areas = [
        mean_auroc(table, leave_one_out(table, ["lira_online"]))["value"].iloc[0]
        for table in (noise_table(shift=s, patients=200) for s in (0.1, 0.3, 0.9))
    ]
    assert areas == sorted(areas)
    # Reference scores are normal with sd 0.3 sqrt(1 + 1/3): AUC = Phi(shift / (sd sqrt 2)).
    assert areas[1] == pytest.approx(0.73, abs=0.05)


def test_the_learned_attack_never_judges_an_image_that_it_was_fitted_on(noise_table):
    table = noise_table(generators=8, patients=30, shift=0.5, per_patient=2)
    case = table.case(0, np.zeros(60, dtype=bool))
    before = learned_score(case, fit_shadows(case))
    case.known[:, :2] = ~case.known[:, :2]  # other truth of the first patient
    fitted = fit_shadows(case)
    case.known[:, :2] = ~case.known[:, :2]
    np.testing.assert_array_equal(learned_score(case, fitted)[:2], before[:2])


def test_any_distance_score_is_compared_with_shadow_generators(toy_bank):
    bank = toy_bank(generators=6, patients=24, samples=40)
    table = BankTable.of(bank, Pixels(), "lof", 3)
    real, samples = (x.reshape(len(x), -1) / 255 for x in (bank.real, bank.generated["g002"]))
    between, among = cdist(real, samples), cdist(samples, samples)
    np.fill_diagonal(among, np.inf)
    order = np.argsort(between, axis=1)[:, :3]
    expected = np.log(among.min(axis=1))[order].mean(axis=1) - np.log(between.min(axis=1))
    np.testing.assert_allclose(table.values[1], expected, atol=1e-5)
    for name in ("lof", "vote_margin"):
        table = BankTable.of(bank, Pixels(), name, 3)
        outcome = leave_one_out(table, ["statistic", "reference", "lira_online", "rmia_offline"])
        np.testing.assert_array_equal(outcome.scores["statistic"], table.values)
        others = independent(table.membership, 0)
        outside = ~table.membership[others]
        mean = (table.values[others] * outside).sum(axis=0) / outside.sum(axis=0)
        np.testing.assert_allclose(outcome.scores["reference"][0], table.values[0] - mean)
        assert (mean_auroc(table, outcome)["value"] > 0.75).all()


def test_labelled_patients_are_not_measured(noise_table):
    table = noise_table(per_patient=2, patients=20)
    outcome = leave_one_out(table, ["nearest"], labelled=0.3)
    by_patient = outcome.labelled.reshape(8, 20, 2)
    assert (by_patient[..., 0] == by_patient[..., 1]).all()
    assert (by_patient[..., 0].sum(axis=1) == 6).all()
    measured_before = measure(table, outcome)
    assert (measured_before["patients"] == 14).all()
    scores = outcome.scores["nearest"].copy()
    scores[outcome.labelled] = 0.5
    changed = measure(table, Outcome({"nearest": scores}, outcome.labelled))
    np.testing.assert_array_equal(changed["auroc"], measured_before["auroc"])


def test_a_bank_that_is_too_small_says_so(noise_table):
    with pytest.raises(UserError, match="too small for lira_online"):
        leave_one_out(noise_table(generators=2), ["lira_online"])
    with pytest.raises(UserError, match="learned attack needs more shadow generators"):
        leave_one_out(noise_table(generators=4), ["learned"])
    with pytest.raises(UserError, match=r"patients .* too few"):
        leave_one_out(noise_table(patients=6), ["nearest"])
    with pytest.raises(UserError, match="choose nearest"):
        leave_one_out(noise_table(), ["fantasy"])
