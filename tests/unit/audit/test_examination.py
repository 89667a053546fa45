"""What an audit says where the truth is known: nobody is exposed, or exactly these are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gansfp.audit.attack import Attack, log_distance
from gansfp.audit.canaries import canary_facts
from gansfp.audit.describing import describe
from gansfp.audit.examination import nearest_pairs, with_copies
from gansfp.audit.exposure import Units, exposed, set_test, visible_share
from gansfp.audit.filtering import filter_set
from gansfp.audit.planning import plan_release
from gansfp.audit.planted import perturbed, planted_power
from gansfp.errors import UserError
from gansfp.evaluation.conformal import fewest_calls

REAL, OTHERS, COPIED = 80, 240, 16
TRIALS = 30


@pytest.fixture(scope="module")
def leaking(population, examine):
    """Sixteen of 80 are copied with noise and a shift into 100 images of others."""
    rng = np.random.default_rng(0)
    real, others = population(REAL, rng), population(OTHERS, rng)
    synthetic = np.concatenate([population(100, rng), perturbed(real[:COPIED], rng)])
    found = examine(real, others, synthetic)
    return found, found.closest(), np.concatenate([real, others])


def test_the_copied_are_called_and_few_others(leaking) -> None:
    examination, closest, _ = leaking
    found = examination.findings(closest, 0.05, 999)
    called = np.flatnonzero(found.exposure.called)
    assert set(range(COPIED)) <= set(called.tolist())
    assert len(called) <= COPIED + 2
    assert found.test.p <= 0.002
    assert found.test.reverse_p > 0.05
    assert found.share.low > 0.05
    assert found.share.low <= COPIED / REAL <= found.share.high
    pairs = nearest_pairs(examination, np.arange(COPIED))
    assert [row for row, _ in pairs] == [100 + k for k in range(COPIED)]


def test_p_values_are_uniform_where_nobody_is_exposed(population, examine) -> None:
    """With 20 non-members and the whole pipeline, slopes and spreads included."""
    p = []
    for seed in range(TRIALS):
        rng = np.random.default_rng([seed, 1])
        found = examine(
            population(20, rng, 16), population(20, rng, 16), population(30, rng, 16), seed=seed
        )
        p.append(exposed(*unit_scores(found), 0.05).p)
    assert stats.ttest_1samp(np.mean(p, axis=1), 0.5 + 0.5 / 21).pvalue > 0.01
    first = np.array(p)[:, 0]
    assert (
        stats.kstest(first - np.random.default_rng(0).uniform(0, 1 / 21, TRIALS), "uniform").pvalue
        > 0.01
    )


def unit_scores(examination):
    closest = examination.closest()
    score = examination.units.score(examination.scale(closest).score(closest))
    return score, examination.units.labels


@pytest.mark.parametrize("statistic", ["residual", "ratio", "nearest"])
def test_scores_do_not_know_who_was_used(population, examine, statistic: str) -> None:
    """Exchanging used and not used changes no score: the condition for conformal p-values."""
    rng = np.random.default_rng(2)
    images, synthetic = population(60, rng, 16), population(40, rng, 16)
    names = np.array([f"p{k}" for k in range(60)])
    order = rng.permutation(60)
    plain = examine(images[:20], images[20:], synthetic, names, statistic=statistic)
    mixed = examine(
        images[order][:20], images[order][20:], synthetic, names[order], statistic=statistic
    )
    np.testing.assert_allclose(unit_scores(plain)[0][order], unit_scores(mixed)[0], atol=1e-6)


def test_a_ratio_is_that_of_the_formula(population, examine) -> None:
    rng = np.random.default_rng(3)
    found = examine(
        population(10, rng, 16), population(15, rng, 16), population(9, rng, 16), statistic="ratio"
    )
    closest = found.closest()
    residual = closest - found.local[:, :, 0]
    middle = np.median(residual, axis=0)
    spread = 1.4826 * np.median(np.abs(residual - middle), axis=0)
    wanted = ((middle - residual) / spread).mean(axis=1)
    np.testing.assert_allclose(found.scale(closest).score(closest), wanted)


def test_the_score_at_a_distance_and_the_distance_at_a_score_agree(leaking) -> None:
    examination, closest, _ = leaking
    scale = examination.scale(closest)
    at_zero = scale.least(0.7)
    np.testing.assert_allclose(scale.score(at_zero), 0.7)


def test_further_images_are_as_if_they_had_been_there(leaking, population) -> None:
    examination, closest, pixels = leaking
    more = examination.attack.encode(perturbed(pixels[20:25], np.random.default_rng(4)))
    both = [np.concatenate(pair) for pair in zip(examination.synthetic, more, strict=True)]
    wanted = examination.attack.closest(examination.pool, both)
    apart = np.abs(with_copies(examination, closest, more) - wanted)
    assert apart[:, 1].max() < 1e-5
    # Of `aligned` the candidates are chosen anew: now and then another one is the nearest.
    assert (apart[:, 0] > 1e-4).mean() < 0.02


def test_planted_copies_are_found_once_enough_are_planted(leaking) -> None:
    examination, closest, pixels = leaking
    planted = planted_power(examination, closest, pixels, 0.05, repeats=2)
    assert planted.counts[0] == fewest_calls(REAL, OTHERS, 0.05)
    assert planted.smallest is not None
    assert planted.found[-1] >= 0.8


def test_a_filter_removes_the_copies_and_the_others_see_nothing_after(leaking) -> None:
    examination, closest, _ = leaking
    filtered = filter_set(examination, closest, 0.05, 999)
    assert not filtered.kept[100:].any()
    assert filtered.kept[:100].mean() > 0.8
    assert filtered.deciding == filtered.judging == OTHERS // 2
    assert filtered.before.exposure.called[:COPIED].all()
    assert not filtered.after.exposure.called.any()
    assert filtered.after.test.p > 0.01


def test_a_smaller_release_exposes_fewer(leaking) -> None:
    examination, closest, _ = leaking
    rows = plan_release(examination, closest, 0.05, None, None)
    by_size = [row for row in rows if row["patients"] == REAL]
    assert [row["released"] for row in by_size] == [7, 14, 29, 57, 116]
    assert by_size[0]["called"] < by_size[-1]["called"]
    whole = examination.findings(closest, 0.05, 1000)
    assert by_size[-1]["called"] == whole.exposure.called.sum()
    assert by_size[-1]["auroc"] == pytest.approx(whole.test.auroc.value, abs=0.005)
    assert [row["patients"] for row in rows[-2:]] == [20, 40]


def test_canaries_are_counted(leaking) -> None:
    examination, closest, _ = leaking
    marked = np.zeros(REAL + OTHERS, dtype=bool)
    marked[[0, 1, 2, 50, REAL, REAL + 1]] = True
    found = examination.findings(closest, 0.05, 999)
    facts = canary_facts(examination, found, marked)
    assert (facts["canaries"], facts["controls"], facts["called"]) == (4, 2, 3)
    assert facts["recall"]["value"] == 0.75
    assert facts["recall"]["low"] == pytest.approx(stats.beta.ppf(0.025, 3, 2), abs=1e-6)
    assert facts["above_controls"] >= 3


def test_near_copies_are_described_without_non_members(leaking) -> None:
    examination, _, _ = leaking
    real = [vectors[:REAL] for vectors in examination.pool]
    facts = describe(examination.attack, real, examination.synthetic, examination.groups[:REAL])
    assert {(pair["real"], pair["synthetic"]) for pair in facts["pairs"]} >= {
        (k, 100 + k) for k in range(COPIED)
    }
    assert facts["copied_patients"] <= COPIED + 3
    assert facts["distances"]["synthetic_to_real"]["median"] > 0


def test_a_patients_score_is_the_mean_or_the_maximum_of_its_images() -> None:
    groups, labels = np.array(["b", "a", "b", "c"]), np.array([1, 0, 1, 1])
    scores = np.array([1.0, 5.0, 2.0, -1.0])
    mean, highest = (Units.of(groups, labels, how) for how in ("mean", "max"))
    np.testing.assert_array_equal(mean.score(scores), [1.5, 5.0, -1.0])
    np.testing.assert_array_equal(highest.score(scores), [2.0, 5.0, -1.0])
    np.testing.assert_array_equal(mean.labels, [1, 0, 1])
    assert not mean.equal
    with pytest.raises(UserError, match="patients=median: choose mean, max"):
        Units.of(groups, labels, "median")


def test_the_visible_share_covers_the_truth_from_below() -> None:
    """20 % are far above; the lower end may exceed that in 2.5 % of audits at the most."""
    above, values = 0, []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        real = rng.standard_normal(200) + np.repeat([8.0, 0.0], [40, 160])
        score, labels = (
            np.concatenate([real, rng.standard_normal(400)]),
            np.repeat([1, 0], [200, 400]),
        )
        share = visible_share(score, labels)
        above += share.low > 0.2
        values.append(share.value)
    assert above <= 12
    assert np.mean(values) == pytest.approx(0.2, abs=0.03)


def test_the_set_test_keeps_its_level_and_sees_few_far_or_many_near() -> None:
    small = []
    for seed in range(100):
        rng = np.random.default_rng([seed, 9])
        test = set_test(rng.standard_normal(150), np.repeat([1, 0], [50, 100]), 199, seed)
        small.append(test.p <= 0.05)
    assert sum(small) <= 12
    rng = np.random.default_rng(0)
    labels = np.repeat([1, 0], [200, 400])
    few = rng.standard_normal(600) + np.repeat([6.0, 0.0], [6, 594])
    many = rng.standard_normal(600) + 0.4 * labels
    assert set_test(few, labels, 999).p <= 0.01
    assert set_test(many, labels, 999).p <= 0.01
    assert set_test(-many, labels, 999).reverse_p <= 0.01


def test_equal_images_have_a_finite_logarithm() -> None:
    assert np.isfinite(log_distance(np.zeros(3))).all()


def test_unknown_views_and_statistics_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"attack.views: algned: no such view; did you mean aligned"
    ):
        Attack(views=("algned",))
    with pytest.raises(UserError, match=r"attack.statistic=best: choose residual, ratio, nearest"):
        Attack(statistic="best")  # type: ignore[arg-type]
