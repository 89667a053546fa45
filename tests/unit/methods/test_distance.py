"""The distance methods against brute force, and the properties that their scores must have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from gansfp.errors import UserError
from gansfp.features.representations import NCC, Pixels
from gansfp.methods.distance import estimator, statistics
from gansfp.methods.distance import membership as membership_statistics
from gansfp.methods.distance.estimator import DistanceEstimator
from gansfp.methods.distance.neighbourhood import Keyed, Neighbourhood
from gansfp.methods.distance.statistics import References
from gansfp.methods.keys import exclusion_keys

Data = Any


def _ranks(scores: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(scores))


def _hood(real: np.ndarray, synthetic: np.ndarray) -> Neighbourhood:
    everyone = np.ones(len(real), dtype=bool)
    return Neighbourhood(Keyed(real, np.arange(len(real))), synthetic, everyone, everyone)


def _pixels(data: Data, rows: np.ndarray) -> np.ndarray:
    return (data.benchmark.images(rows).reshape(len(rows), -1) / 255).astype(np.float32)


@pytest.mark.parametrize("k", [1, 3])
def test_nearest_is_brute_force(membership: Data, k: int) -> None:
    rows = membership.benchmark.candidates("test")
    scores = DistanceEstimator(k=k).fit(membership).predict(membership, rows)
    full = cdist(_pixels(membership, rows), _pixels(membership, membership.generated_rows))
    np.testing.assert_allclose(scores, -np.sort(full, axis=1)[:, :k].mean(axis=1), rtol=1e-6)


def test_blocks_change_no_score(membership: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = membership.benchmark.candidates("test")
    whole = DistanceEstimator().fit(membership).predict(membership, rows)
    monkeypatch.setattr(estimator, "_ENCODED", 3)
    monkeypatch.setattr(estimator, "_BLOCK", 5)
    parts = DistanceEstimator().fit(membership).predict(membership, rows)
    assert parts.tobytes() == whole.tobytes()


@pytest.mark.parametrize("k_pool", [1, 5])
@pytest.mark.parametrize("pool", ["all", "labelled"])
def test_pool_ratio_is_brute_force(membership: Data, k_pool: int, pool: str) -> None:
    method = DistanceEstimator(statistic="pool_ratio", k_pool=k_pool, pool=pool).fit(membership)
    benchmark = membership.benchmark
    for split in ("train", "test"):
        rows = benchmark.candidates(split)
        members = benchmark.candidates("train")
        if pool == "all":
            members = np.concatenate([members, benchmark.candidates("test")])
        local = cdist(_pixels(membership, rows), _pixels(membership, members))
        local[benchmark.groups(rows)[:, None] == benchmark.groups(members)] = np.inf
        closest = cdist(_pixels(membership, rows), _pixels(membership, membership.generated_rows))
        expected = np.log(np.sort(local, axis=1)[:, k_pool - 1]) - np.log(closest.min(axis=1))
        np.testing.assert_allclose(method.predict(membership, rows), expected, atol=1e-6)


def test_traits_say_what_looks_at_test_images() -> None:
    assert DistanceEstimator(statistic="pool_ratio").transductive
    assert not DistanceEstimator(statistic="pool_ratio", pool="labelled").transductive
    assert not DistanceEstimator().transductive
    assert DistanceEstimator.uses_synthetic == "nearest"
    assert not DistanceEstimator.fits_labels


def test_labelled_pool_does_not_see_test_images(membership: Data) -> None:
    rows = membership.benchmark.candidates("train")
    inductive = DistanceEstimator(statistic="pool_ratio", pool="labelled")
    transductive = DistanceEstimator(statistic="pool_ratio", pool="all")
    before = [m.fit(membership).predict(membership, rows) for m in (inductive, transductive)]
    test = membership.benchmark.candidates("test")
    membership.benchmark.store.pixels[test] = membership.benchmark.images(rows[:1])[0] ^ 1
    for method in (inductive, transductive):
        method._scored = None
    after = [m.fit(membership).predict(membership, rows) for m in (inductive, transductive)]
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[1] != after[1]).any()


@pytest.mark.parametrize(
    "statistic", ["nearest", "pool_ratio", "reference_ratio", "lof", "vote_margin"]
)
def test_copy_of_a_candidate_among_the_synthetic_ranks_first(
    membership: Data, statistic: str
) -> None:
    rows = membership.benchmark.candidates("test")
    pixels = membership.benchmark.store.pixels
    pixels[membership.generated_rows[3]] = pixels[rows[4]]
    method = DistanceEstimator(statistic=statistic).fit(membership)
    scores = method.predict(membership, rows)
    assert scores.argmax() == 4
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("statistic", sorted(membership_statistics.STATISTICS))
@pytest.mark.parametrize("representation", [Pixels(), NCC()], ids=str)
def test_order_of_rows_does_not_matter(
    membership: Data, statistic: str, representation: Any
) -> None:
    method = DistanceEstimator(representation, statistic=statistic).fit(membership)
    rows = membership.benchmark.candidates("test")
    order = np.random.default_rng(0).permutation(len(rows))
    scores = method.predict(membership, rows)
    np.testing.assert_array_equal(method.predict(membership, rows[order]), scores[order])


def test_scale_of_features_leaves_ranks() -> None:
    rng = np.random.default_rng(0)
    x, synthetic, pool = (rng.normal(size=(n, 16)) for n in (40, 200, 60))
    real = np.concatenate([x, pool])
    scores = membership_statistics.pool_ratio(_hood(real, synthetic), 1, 5)
    for factor in (1e-6, 1e6):
        scaled = membership_statistics.pool_ratio(_hood(factor * real, factor * synthetic), 1, 5)
        np.testing.assert_array_equal(_ranks(scaled), _ranks(scores))
        np.testing.assert_allclose(scaled, scores, atol=1e-7)


def test_copies_outrank_near_copies() -> None:
    x = np.eye(3)
    synthetic = x + np.array([0.0, 1e-12, 1e-3])[:, None]
    real = np.concatenate([x, np.full((2, 3), 5.0)])
    scores = membership_statistics.pool_ratio(_hood(real, synthetic), 1, 1)[:3]
    np.testing.assert_array_equal(_ranks(scores), [2, 1, 0])
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("reference", ["real", "generated"])
@pytest.mark.parametrize("k", [1, 3])
def test_attribution_is_brute_force(attribution: Data, reference: str, k: int) -> None:
    method = DistanceEstimator(reference=reference, k=k, temperature=0.5).fit(attribution)
    benchmark = attribution.benchmark
    for split in ("train", "test"):
        rows = benchmark.candidates(split)
        columns = []
        for label in benchmark.classes:
            members = benchmark.rows("train", reference, label)
            full = cdist(_pixels(attribution, rows), _pixels(attribution, members))
            full[rows[:, None] == members] = np.inf  # leave one out
            columns.append(np.sort(full, axis=1)[:, :k].mean(axis=1))
        weights = np.stack(columns, axis=1) ** (-1 / 0.5)
        got = method.predict(attribution, rows)
        np.testing.assert_allclose(got, weights / weights.sum(1, keepdims=True), rtol=1e-5)


def test_votes_are_weighted_by_class_size_and_ties_go_to_the_nearer() -> None:
    references = np.array([[1.0], [2.0], [3.0], [10.0]])
    labels = np.array([0, 0, 1, 1])
    shares = statistics.class_votes(np.array([[0.0]]), References(references, labels), k=3)
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 3]])
    three = np.array([[1.0], [2.0], [3.0], [10.0], [11.0], [12.0]])
    unequal = np.array([0, 0, 1, 1, 1, 1])
    shares = statistics.class_votes(np.array([[2.4]]), References(three, unequal), k=3)
    np.testing.assert_allclose(shares, [[1 / (1 + 0.25), 0.25 / (1 + 0.25)]])
    blended = statistics.blend_votes(np.array([[0.5, 0.5]]), np.array([[0.2, 0.8]]))
    assert blended.argmax() == 1
    np.testing.assert_allclose(blended.sum(), 1)


def test_vote_finds_planted_neighbours(attribution: Data) -> None:
    benchmark = attribution.benchmark
    rows = benchmark.candidates("test")
    for number, row in enumerate(rows):
        source = benchmark.rows("train", "real", benchmark.classes[number % 3])[number // 3]
        benchmark.store.pixels[row] = benchmark.store.pixels[source]
    for rule, k in (("distance", 1), ("vote", 1)):
        got = DistanceEstimator(rule=rule, k=k).fit(attribution).predict(attribution, rows)
        np.testing.assert_array_equal(got.argmax(axis=1), np.arange(10) % 3)
        np.testing.assert_allclose(got.sum(axis=1), 1)
        assert np.isfinite(got).all()


def test_a_labelled_image_is_not_its_own_evidence(attribution: Data) -> None:
    # Noise: with its own row among the references the accuracy would be 1.
    rows = attribution.benchmark.candidates("train")
    got = DistanceEstimator(reference="generated").fit(attribution).predict(attribution, rows)
    accuracy = (got.argmax(axis=1) == attribution.benchmark.targets(rows)).mean()
    assert accuracy < 0.7


def test_patients_and_copies_are_excluded_together(datamodule: Callable[..., Data]) -> None:
    images = np.arange(4 * 64).reshape(4, 8, 8).astype(np.uint8)
    images[3] = images[2]
    data = datamodule(
        "membership",
        [
            ("train", "real_used", "used", images[:2], ["p", "p"]),
            ("test", "real_unknown", None, images[2:], None),
        ],
    )
    keys = exclusion_keys(data.benchmark, np.arange(4))
    assert keys[0] == keys[1]
    assert keys[2] == keys[3]
    assert keys[0] != keys[2]


@pytest.mark.parametrize("task", ["membership", "attribution"])
def test_saved_and_loaded_gives_the_same(
    task: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    data = request.getfixturevalue(task)
    statistic = "pool_ratio" if task == "membership" else "nearest"
    method = DistanceEstimator(NCC(4), statistic=statistic, k=2, k_pool=3, temperature=0.3)
    method.fit(data).save(tmp_path / "method")
    loaded = DistanceEstimator.load(tmp_path / "method")
    rows = data.benchmark.candidates("test")
    np.testing.assert_array_equal(loaded.predict(data, rows), method.predict(data, rows))
    assert loaded.transductive == method.transductive
    assert {path.suffix for path in (tmp_path / "method").iterdir()} <= {".json", ".npz"}
    with pytest.raises(UserError, match="no saved distance method"):
        DistanceEstimator.load(tmp_path)


def test_wrong_options_name_the_key(membership: Data, attribution: Data) -> None:
    with pytest.raises(UserError, match=r"method.statistic=near: choose nearest, pool_ratio, ref"):
        DistanceEstimator(statistic="near")
    with pytest.raises(UserError, match=r"method.temperature=0"):
        DistanceEstimator(temperature=0)
    with pytest.raises(UserError, match="pool_ratio is for task=membership"):
        DistanceEstimator(statistic="pool_ratio").fit(attribution)
    with pytest.raises(UserError, match="lower k"):
        DistanceEstimator(k=31).fit(membership).predict(membership, np.array([20]))
    with pytest.raises(UserError, match="differs from what the method was fitted for"):
        DistanceEstimator().fit(membership).predict(attribution, np.array([0]))


def test_no_candidates_give_no_scores(membership: Data, attribution: Data) -> None:
    none = np.empty(0, dtype=np.int64)
    assert DistanceEstimator().fit(membership).predict(membership, none).shape == (0,)
    assert DistanceEstimator().fit(attribution).predict(attribution, none).shape == (0, 3)
