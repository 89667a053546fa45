"""Power and predictive values against scipy, statsmodels, published numbers and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import fisher_exact, mannwhitneyu, norm
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_effectsize

from gansfp.errors import UserError
from gansfp.evaluation.permutation import membership_chance
from gansfp.evaluation.power import (
    auroc_power,
    hanley_mcneil,
    images_needed,
    kappa_power,
    kappa_table_p,
    smallest_auroc,
    smallest_kappa,
)
from gansfp.evaluation.prevalence import predictive_values, rate_ratio


def test_p_values_of_tables_are_those_of_the_permutation_test():
    p = kappa_table_p(12, 20)
    for tp, fp in ((9, 4), (2, 9), (6, 10), (0, 20)):
        truth = np.repeat([1, 0], [12, 20])
        decision = np.concatenate([np.arange(12) < tp, np.arange(20) < fp])
        sampled = membership_chance(truth, decision, decision, permutations=20_000)["kappa"]
        assert p[tp, fp] == pytest.approx(sampled, abs=0.012)
    assert p[0, 0] == p[12, 20] == pytest.approx(1.0)


def test_p_values_of_balanced_tables_are_fisher_s():
    p = kappa_table_p(15, 15)
    for tp, fp in ((10, 4), (3, 12), (8, 7)):
        expected = fisher_exact([[tp, fp], [15 - tp, 15 - fp]]).pvalue
        assert p[tp, fp] == pytest.approx(expected)


@pytest.mark.parametrize(("used", "unused", "kappa"), [(50, 50, 0.25), (30, 90, 0.3)])
def testkappa_table_power_in_simulation(used, unused, kappa):
    rng = np.random.default_rng(used)
    share = used / (used + unused)
    tp = rng.binomial(used, share + kappa * (1 - share), 20_000)
    fp = rng.binomial(unused, share * (1 - kappa), 20_000)
    seen = (kappa_table_p(used, unused)[tp, fp] <= 0.05).mean()
    assert kappa_power(kappa, used, unused) == pytest.approx(seen, abs=0.012)
    assert kappa_power(0.0, used, unused) <= 0.05
    agreement = (tp + unused - fp) / (used + unused)
    chance = share**2 + (1 - share) ** 2
    assert ((agreement - chance) / (1 - chance)).mean() == pytest.approx(kappa, abs=0.005)


def testkappa_table_power_of_the_contest_s_test_set():
    # 250 used, 250 unused: |kappa| of 0.092 is significant, so 0.09 is seen about half of the time.
    assert kappa_power(0.09, 250, 250) == pytest.approx(0.5, abs=0.05)
    smallest = smallest_kappa(250, 250)
    assert smallest == pytest.approx((1.96 + 0.84) / np.sqrt(500), abs=0.006)
    assert kappa_power(smallest, 250, 250) == pytest.approx(0.8, abs=1e-3)
    assert smallest_kappa(250, 250, alpha=0.05 / 91) > smallest


def test_three_against_three_can_show_nothing_at_one_percent():
    assert smallest_kappa(3, 3, alpha=0.01) is None
    with pytest.raises(ValueError, match="0 used and 3 unused"):
        kappa_power(0.1, 0, 3)


def test_standard_error_under_chance_is_that_of_the_rank_sum():
    for used, unused, expected in ((250, 250, 0.0258), (100, 100, 0.0409), (50, 50, 0.058)):
        assert np.sqrt(hanley_mcneil(0.5, used, unused)) == pytest.approx(
            np.sqrt((used + unused + 1) / (12 * used * unused))
        )
        assert np.sqrt(hanley_mcneil(0.5, used, unused)) == pytest.approx(expected, abs=5e-5)
        assert auroc_power(0.5, used, unused) == pytest.approx(0.05)


@pytest.mark.parametrize(("n", "area"), [(250, 0.572), (100, 0.615), (50, 0.663)])
def test_areas_seen_four_times_in_five(n, area):
    # These take the standard error under chance for both errors; it falls as the area grows.
    assert area == pytest.approx(0.5 + 2.8016 * np.sqrt(hanley_mcneil(0.5, n, n)), abs=6e-4)
    assert area - 0.004 < smallest_auroc(n, n) < area + 5e-4


def test_auroc_power_in_simulation():
    rng = np.random.default_rng(0)
    members = rng.normal(norm.ppf(0.65) * np.sqrt(2), 1, (2000, 60))
    p = mannwhitneyu(members, rng.normal(size=(2000, 40)), axis=1, method="asymptotic").pvalue
    assert auroc_power(0.65, 60, 40) == pytest.approx((p <= 0.05).mean(), abs=0.03)


@pytest.mark.parametrize("table", [(151, 250, 114, 250), (3, 50, 1, 70), (5, 10, 9, 10)])
def test_rate_ratio_equals_statsmodels(table):
    hits, trials, other_hits, other_trials = table
    expected = confint_proportions_2indep(*table, compare="ratio", method="score", correction=False)
    value, low, high = rate_ratio(*table)
    assert value == pytest.approx((hits / trials) / (other_hits / other_trials))
    assert (low, high) == pytest.approx(expected, rel=1e-4)


def test_zero_counts_have_one_open_end():
    value, low, high = rate_ratio(5, 50, 0, 50)
    assert (value, high) == (np.inf, np.inf)
    assert low == pytest.approx(1 / rate_ratio(0, 50, 5, 50).high, rel=1e-6)
    assert low > 1
    assert rate_ratio(0, 50, 5, 50)[:2] == (0, 0)
    found = predictive_values({"tp": 0, "fp": 0, "fn": 9, "tn": 9})[0.5]
    assert np.isnan(found.value)
    assert found[1:] == (0, 1)


def test_predictive_values_of_the_best_published_run():
    found = predictive_values({"tp": 151, "fp": 114, "fn": 99, "tn": 136})
    assert found[0.5].value == pytest.approx(151 / 265)
    assert found[0.10].value == pytest.approx(0.1 * 0.604 / (0.1 * 0.604 + 0.9 * 0.456))
    assert found[0.01].value == pytest.approx(0.0132, abs=1e-4)
    assert all(one.low < one.value < one.high for one in found.values())


def test_predictive_values_cover_in_simulation():
    rng = np.random.default_rng(1)
    tp, fp = rng.binomial(40, 0.3, 500), rng.binomial(60, 0.05, 500)
    true = 0.1 * 0.3 / (0.1 * 0.3 + 0.9 * 0.05)
    covered = [
        one.low <= true <= one.high
        for a, b in zip(tp, fp, strict=True)
        for one in predictive_values({"tp": a, "fn": 40 - a, "fp": b, "tn": 60 - b}, [0.1]).values()
    ]
    assert 0.925 <= np.mean(covered) <= 0.98


def test_images_needed_reach_the_power():
    images = images_needed(0.3)
    assert kappa_power(0.3, images // 2, images - images // 2) >= 0.8
    # The two-sided z-test of two proportions takes about as many.
    assert images == pytest.approx(zt_ind_images(0.3), rel=0.15)
    assert images_needed(0.3, power=0.9) > images
    assert images_needed(0.3, alpha=0.05 / 20) > images
    assert images_needed(0.01) is None


def zt_ind_images(kappa):
    effect = proportion_effectsize((1 + kappa) / 2, (1 - kappa) / 2)
    return 2 * NormalIndPower().solve_power(effect, power=0.8, alpha=0.05)


def test_the_command_says_what_a_test_set_can_see(capsys):
    from omegaconf import OmegaConf

    from gansfp.commands import power

    config = {"used": 50, "unused": 50, "kappa": 0.25, "power": 0.8, "alpha": 0.05, "tests": 1}
    power.run(OmegaConf.create(config))
    said = capsys.readouterr().out
    assert f"kappa 0.25 is seen with probability {kappa_power(0.25, 50, 50):.2f}" in said
    assert f"{images_needed(0.25)} images" in said
    assert f"smallest kappa that is seen with probability 0.8: {smallest_kappa(50, 50):.3f}" in said
    assert f"AUROC that is seen with probability 0.8: {smallest_auroc(50, 50):.3f}" in said
    power.run(OmegaConf.create({**config, "tests": 20, "kappa": 0.02}))
    corrected = capsys.readouterr().out
    assert f"{smallest_kappa(50, 50, alpha=0.05 / 20):.3f}" in corrected
    assert "more than 2000 images" in corrected
    for key, value in (("used", 0), ("kappa", 1.2), ("tests", 0)):
        with pytest.raises(UserError, match=f"{key}={value}"):
            power.run(OmegaConf.create({**config, key: value}))
