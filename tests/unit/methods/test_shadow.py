"""Shadow attacks on a benchmark: against the functions, out of fold, and refusals by hash."""

from __future__ import annotations

import numpy as np
import pytest
from banks import copies, write_bank

from gansfp.errors import UserError
from gansfp.evaluation.ranking import auroc
from gansfp.methods.shadow.estimator import ShadowEstimator

OFFLINE = ["reference", "lira_offline", "rmia_offline", "learned"]
ONLINE = ["lira_online", "rmia_online"]


def people(count, seed):
    rng = np.random.default_rng(seed)
    contrast = rng.uniform(0.2, 1.0, (count, 1, 1))
    noise = 128 + contrast * rng.normal(0, 60, (count, 8, 8))
    return np.clip(noise, 0, 255).round().astype(np.uint8)


@pytest.fixture
def candidates(datamodule):
    """60 candidates of patients of their own, half of them used; copies of these as samples."""
    real = people(60, 1)
    used = np.random.default_rng(2).permutation(60) < 30
    samples = copies(real, np.flatnonzero(used), 40, 25.0, 3)
    labelled = np.arange(60) < 24
    parts = [
        ("train", "generated", None, samples[:25], None),
        ("test", "generated", None, samples[25:], None),
        ("train", "real_used", "used", real[labelled & used], None),
        ("train", "real_not_used", "not_used", real[labelled & ~used], None),
        ("test", "real_unknown", None, real[~labelled], None),
    ]
    return datamodule("membership", parts, fold=None), real, used[~labelled].astype(int)


@pytest.mark.parametrize("attack", OFFLINE + ONLINE)
def test_a_bank_of_the_candidates_gives_members_away(candidates, tmp_path, attack):
    data, real, truth = candidates
    write_bank(tmp_path, real, [f"p{k}" for k in range(60)], generators=8, samples=40)
    rows = data.benchmark.candidates("test")
    method = ShadowEstimator(str(tmp_path), attack).fit(data)
    scores = method.predict(data, rows)
    assert auroc(truth, scores) > 0.85
    assert method.transductive
    order = np.random.default_rng(0).permutation(len(rows))
    np.testing.assert_array_equal(method.predict(data, rows[order]), scores[order])
    np.testing.assert_array_equal(method.predict(data, rows[:5]), scores[:5])
    method.save(tmp_path / "model")
    again = ShadowEstimator.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(data, rows), scores)
    assert again.transductive


@pytest.mark.parametrize("attack", OFFLINE)
def test_a_bank_of_other_patients_does_too(candidates, tmp_path, attack):
    data, _, truth = candidates
    write_bank(tmp_path, people(50, 9), [f"q{k}" for k in range(50)], generators=8, samples=40)
    rows = data.benchmark.candidates("test")
    method = ShadowEstimator(str(tmp_path), attack).fit(data)
    scores = method.predict(data, rows)
    assert auroc(truth, scores) > 0.8
    assert not method.transductive
    np.testing.assert_array_equal(method.predict(data, rows[7:9]), scores[7:9])


def test_another_statistic_is_saved_and_scores_rows_alone(candidates, tmp_path):
    data, _, truth = candidates
    write_bank(tmp_path, people(50, 9), [f"q{k}" for k in range(50)], generators=8, samples=40)
    rows = data.benchmark.candidates("test")
    method = ShadowEstimator(str(tmp_path), "reference", statistic="lof", k=5).fit(data)
    scores = method.predict(data, rows)
    assert auroc(truth, scores) > 0.8
    np.testing.assert_array_equal(method.predict(data, rows[3:6]), scores[3:6])
    method.save(tmp_path / "model")
    again = ShadowEstimator.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(data, rows), scores)
    with pytest.raises(UserError, match="statistic=dpi: choose nearest"):
        ShadowEstimator(str(tmp_path), statistic="dpi")


@pytest.mark.parametrize("attack", ONLINE)
def test_online_attacks_need_the_candidates_in_the_bank(candidates, tmp_path, attack):
    data, _, _ = candidates
    write_bank(tmp_path, people(50, 9), [f"q{k}" for k in range(50)])
    offline = attack.replace("online", "offline")
    with pytest.raises(UserError, match=f"take method.attack={offline}"):
        ShadowEstimator(str(tmp_path), attack).fit(data)


def test_the_reference_score_is_the_difference_of_logs(candidates, tmp_path):
    data, real, _ = candidates
    known = write_bank(tmp_path, real, [f"p{k}" for k in range(60)], samples=40)
    rows = data.benchmark.candidates("test")
    scores = ShadowEstimator(str(tmp_path), "reference").fit(data).predict(data, rows)
    from gansfp.forge.bank import read_bank

    bank = read_bank(tmp_path)
    images = data.benchmark.images(rows).reshape(len(rows), 1, -1) / 255.0

    def log_nearest(samples):
        flat = samples.reshape(len(samples), -1) / 255.0
        return np.log(np.linalg.norm(images - flat, axis=2).min(axis=1))

    target = log_nearest(data.benchmark.images(data.generated_rows))
    shadow = np.stack([log_nearest(part) for part in bank.generated.values()])
    outside = ~known[:, 24:]
    expected = (shadow * outside).sum(axis=0) / outside.sum(axis=0) - target
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_a_bank_that_knows_some_candidates_is_refused(candidates, tmp_path):
    data, real, _ = candidates
    part = np.concatenate([real[24:40], people(30, 9)])  # some of the test images
    write_bank(tmp_path / "some", part, [f"p{k}" for k in range(46)])
    with pytest.raises(UserError, match=r"16 of 36 test images, such as .* or from none"):
        ShadowEstimator(str(tmp_path / "some"), "reference").fit(data)
    others = data.benchmark.images(data.benchmark.rows("train", "real_not_used"))
    write_bank(tmp_path / "unused", others, [f"p{k}" for k in range(len(others))])
    with pytest.raises(UserError, match=f"{len(others)} of 24 labelled images"):
        ShadowEstimator(str(tmp_path / "unused"), "reference").fit(data)


def test_another_slice_of_a_patient_counts_as_known(datamodule, tmp_path):
    """A bank of one slice a patient knows the other too, and is refused where some have none."""
    real = people(40, 1)
    groups = [f"p{k // 2}" for k in range(40)]
    parts = [
        ("train", "generated", None, people(20, 2), None),
        ("train", "real_used", "used", real[:10], groups[:10]),
        ("train", "real_not_used", "not_used", real[10:20], groups[10:20]),
        ("test", "real_unknown", None, real[20:], groups[20:]),
    ]
    data = datamodule("membership", parts, fold=None)
    write_bank(tmp_path / "all", real[::2], [f"b{k}" for k in range(20)], samples=20)
    rows = data.benchmark.candidates("test")
    method = ShadowEstimator(str(tmp_path / "all"), "reference").fit(data)
    encoded = method._prepare(data)
    case = method._case(data, rows)
    places = method._places(encoded, rows)
    np.testing.assert_array_equal(case.known[:, places[::2]], case.known[:, places[1::2]])
    np.testing.assert_array_equal(case.groups[places[::2]], case.groups[places[1::2]])
    write_bank(tmp_path / "some", real[:30:2], [f"b{k}" for k in range(15)], samples=20)
    with pytest.raises(UserError, match="10 of 20 test images"):
        ShadowEstimator(str(tmp_path / "some"), "reference").fit(data)


def test_another_bank_at_the_same_place_is_refused(candidates, tmp_path):
    data, real, _ = candidates
    write_bank(tmp_path / "bank", real, [f"p{k}" for k in range(60)])
    method = ShadowEstimator(str(tmp_path / "bank"), "reference").fit(data)
    method.save(tmp_path / "model")
    write_bank(tmp_path / "bank", real, [f"p{k}" for k in range(60)], seed=5)
    again = ShadowEstimator.load(tmp_path / "model")
    with pytest.raises(UserError, match="not the bank that the run was fitted on"):
        again.predict(data, data.benchmark.candidates("test"))


def test_sizes_must_agree(candidates, tmp_path):
    data, _, _ = candidates
    big = np.repeat(np.repeat(people(20, 4), 2, axis=1), 2, axis=2)
    write_bank(tmp_path, big, [f"p{k}" for k in range(20)])
    with pytest.raises(UserError, match=r"have \(16, 16\) pixels"):
        ShadowEstimator(str(tmp_path), "reference").fit(data)
    with pytest.raises(UserError, match="choose reference"):
        ShadowEstimator(str(tmp_path), "nearest")
