"""Candidate pools: who is in them, and batches as functions of seed, epoch and step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gansfp.errors import UserError
from gansfp.features.representations import Pixels
from gansfp.methods.taozi.sampling import CandidatePools, pools_by_similarity

Data = Any


def test_a_pool_holds_what_is_similar_enough() -> None:
    similarity = np.array([[0.9, 0.1, 0.7, 0.65], [0.2, 0.5, 0.3, 0.1]], np.float32)
    used = np.array([10, 11, 12, 13])
    pools = pools_by_similarity(similarity, used, 0.6, positives=2)
    assert pools.sizes.tolist() == [3, 2]  # two at least, where fewer are similar enough
    seen: list[set[int]] = [set(), set()]
    for seed in range(50):
        drawn = pools.draw(np.array([0, 1]), np.random.default_rng(seed))
        for i in (0, 1):
            assert len(set(drawn[i])) == 2
            seen[i] |= set(drawn[i].tolist())
    assert seen == [{10, 12, 13}, {11, 12}]


def test_batches_by_role(membership: Data) -> None:
    benchmark, rows = membership.benchmark, membership.fit_rows
    plan = CandidatePools(4, 2, 3, Pixels(), 0.0).bind(benchmark, rows, seed=5)
    assert len(plan) == 5
    anchors = []
    for step in range(5):
        batch = plan.batch(1, step)
        anchors.append(batch["anchor_row"])
        np.testing.assert_array_equal(batch["key_row"], batch["anchor_row"])
        assert batch["positive_row"].shape == (4, 2)
        assert batch["negative_row"].shape == (4, 3)
        assert set(benchmark.labels(batch["positive_row"].ravel())) == {"used"}
        assert set(benchmark.labels(batch["negative_row"].ravel())) == {"not_used"}
    every = np.sort(np.concatenate(anchors))
    np.testing.assert_array_equal(every, benchmark.rows("train", "generated"))
    again = CandidatePools(4, 2, 3, Pixels(), 0.0).bind(benchmark, rows, seed=5)
    for name, values in again.batch(1, 3).items():
        np.testing.assert_array_equal(values, plan.batch(1, 3)[name])
    assert (plan.batch(0, 0)["anchor_row"] != plan.batch(1, 0)["anchor_row"]).any()


def test_positives_are_the_most_similar_used_images(membership: Data) -> None:
    benchmark = membership.benchmark
    used = benchmark.rows("train", "real_used")
    made = benchmark.rows("train", "generated")
    benchmark.store.pixels[made[:6]] = benchmark.store.pixels[used]
    plan = CandidatePools(20, 1, 1, Pixels(), 0.999).bind(benchmark, membership.fit_rows, 0)
    batch = plan.batch(0, 0)
    partner = dict(zip(batch["anchor_row"], batch["positive_row"][:, 0], strict=True))
    assert [partner[row] for row in made[:6]] == used.tolist()


def test_held_out_images_are_no_candidates(membership: Data) -> None:
    benchmark = membership.benchmark
    rows = membership.fit_rows[membership.fit_rows != membership.fit_rows[0]]
    plan = CandidatePools(20, 5, 5).bind(benchmark, rows, 0)
    seen = np.concatenate([plan.batch(e, 0)["positive_row"].ravel() for e in range(5)])
    assert membership.fit_rows[0] not in seen
    assert len(set(seen.tolist())) == 5


def test_what_cannot_be_sampled(membership: Data, attribution: Data) -> None:
    with pytest.raises(UserError, match="for task=membership"):
        CandidatePools().bind(attribution.benchmark, attribution.fit_rows, 0)
    with pytest.raises(UserError, match=r"data.sampling.positives=7"):
        CandidatePools(positives=7).bind(membership.benchmark, membership.fit_rows, 0)
    with pytest.raises(UserError, match=r"data.sampling.batch_size=0"):
        CandidatePools(batch_size=0)
