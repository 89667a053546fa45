from __future__ import annotations

import numpy as np
import pytest

from gansfp.data.batches import PlanLoader
from gansfp.data.benchmark import Benchmark
from gansfp.data.pairs import ClassPairs, Images
from gansfp.errors import UserError


def labelled(benchmark: Benchmark) -> np.ndarray:
    roles = (
        ("real_used", "real_not_used") if benchmark.task == "membership" else ("generated", "real")
    )
    return np.sort(np.concatenate([benchmark.rows("train", role) for role in roles]))


def drawn(benchmark: Benchmark, strategy: ClassPairs, epochs: int = 40) -> dict[str, np.ndarray]:
    plan = strategy.bind(benchmark, labelled(benchmark), seed=5)
    batches = [plan.batch(e, s) for e in range(epochs) for s in range(len(plan))]
    for batch in batches:
        assert batch["same"].sum() * 2 == len(batch["same"])
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def test_membership_pairs(membership: Benchmark) -> None:
    pairs = drawn(membership, ClassPairs(batch_size=8))
    same = pairs["same"] == 1
    assert set(membership.labels(pairs["real_row"][same])) == {"used"}
    assert set(membership.labels(pairs["real_row"][~same])) == {"not_used"}
    assert set(pairs["generated_row"]) == set(membership.rows("train", "generated"))
    assert set(pairs["real_row"]) == set(labelled(membership))


def test_attribution_pairs(attribution: Benchmark) -> None:
    pairs = drawn(attribution, ClassPairs(batch_size=8))
    real, made = (attribution.labels(pairs[f"{side}_row"]) for side in ("real", "generated"))
    np.testing.assert_array_equal(real == made, pairs["same"] == 1)
    roles = attribution.index.frame["role"].to_numpy(dtype=object)
    assert set(roles[pairs["real_row"]]) == {"real"}
    assert set(roles[pairs["generated_row"]]) == {"generated"}


def test_attribution_pairs_are_uniform_over_classes_and_over_images(attribution: Benchmark) -> None:
    pairs = drawn(attribution, ClassPairs(batch_size=64, steps_per_epoch=10))
    n = len(pairs["same"])
    assert n == 25_600
    for side in ("real", "generated"):
        shares = [
            np.mean(attribution.labels(pairs[f"{side}_row"]) == name)
            for name in attribution.classes
        ]
        np.testing.assert_allclose(shares, 1 / 3, atol=4 * np.sqrt(2 / 9 / n))
    negative = pairs["same"] == 0
    kinds = np.unique(
        np.stack(
            [attribution.targets(pairs[f"{side}_row"][negative]) for side in ("real", "generated")]
        ),
        axis=1,
        return_counts=True,
    )[1]
    assert len(kinds) == 6
    np.testing.assert_allclose(kinds / negative.sum(), 1 / 6, atol=0.015)
    first = attribution.rows("train", "real", "t1")
    counts = [np.sum(pairs["real_row"] == row) for row in first]
    np.testing.assert_allclose(np.array(counts) / sum(counts), 1 / 6, atol=0.02)


def test_steps_are_real_images_by_batch_size(membership: Benchmark, attribution: Benchmark) -> None:
    for benchmark, real in ((membership, 22), (attribution, 28)):
        rows = labelled(benchmark)
        for batch_size in (4, 8, 64):
            plan = ClassPairs(batch_size).bind(benchmark, rows, 0)
            assert len(plan) == max(1, real // batch_size)
    assert len(ClassPairs(4, steps_per_epoch=9).bind(membership, labelled(membership), 0)) == 9


def test_pairs_are_pure(membership: Benchmark) -> None:
    first, second = (ClassPairs(8).bind(membership, labelled(membership), 1) for _ in range(2))
    second.batch(7, 0)
    for name, values in first.batch(3, 1).items():
        np.testing.assert_array_equal(values, second.batch(3, 1)[name])
    assert not np.array_equal(first.batch(3, 1)["real_row"], first.batch(4, 1)["real_row"])
    other_seed = ClassPairs(8).bind(membership, labelled(membership), 2)
    assert not np.array_equal(first.batch(3, 1)["real_row"], other_seed.batch(3, 1)["real_row"])


def test_ranks_share_pairs_without_tearing_them(membership: Benchmark) -> None:
    plan = ClassPairs(8).bind(membership, labelled(membership), 1)
    whole = plan.batch(0, 0)
    shares = [next(iter(PlanLoader(plan, rank, 2))) for rank in range(2)]
    for name, values in whole.items():
        for rank in range(2):
            np.testing.assert_array_equal(shares[rank][name].numpy(), values[rank::2])


def test_only_given_rows_are_drawn(membership: Benchmark) -> None:
    allowed = labelled(membership)[::3]
    plan = ClassPairs(8, steps_per_epoch=30).bind(membership, allowed, 1)
    rows = np.concatenate([plan.batch(0, step)["real_row"] for step in range(30)])
    assert set(rows) == set(allowed)


def test_pairs_need_both_sides(membership: Benchmark, attribution: Benchmark) -> None:
    with pytest.raises(UserError, match="real_not_used"):
        ClassPairs().bind(membership, membership.rows(label="used"), 0)
    with pytest.raises(UserError, match="real/t1, real/t2, real/t10"):
        ClassPairs().bind(attribution, attribution.rows("train", "generated"), 0)


@pytest.mark.parametrize("batch_size", [0, 1, 7])
def test_pairs_need_an_even_batch(batch_size: int) -> None:
    with pytest.raises(UserError, match="even"):
        ClassPairs(batch_size)


def test_images(membership: Benchmark, attribution: Benchmark) -> None:
    plan = Images(4).bind(membership, labelled(membership), 0)
    assert len(plan) == 5
    batch = plan.batch(0, 0)
    np.testing.assert_array_equal(batch["label"], membership.targets(batch["row"]))
    only = Images(100, role="real").bind(attribution, labelled(attribution), 0).batch(0, 0)
    assert set(only["row"]) == set(attribution.rows("train", "real"))
    with pytest.raises(UserError, match="role=real_used"):
        Images(role="real_used").bind(attribution, labelled(attribution), 0)
