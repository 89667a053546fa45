from __future__ import annotations

import numpy as np
import pytest

from gansfp.data.batches import PlanLoader
from gansfp.errors import UserError
from gansfp.forge.plan import StreamRows
from gansfp.forge.plans import Deck
from gansfp.forge.seeds import derive_seed

GROUPS = np.array([f"p{k % 7}" for k in range(20)])


def deck(seed=0):
    return Deck(GROUPS, np.random.default_rng(seed))


def test_every_pass_shows_every_image_once():
    plan = StreamRows(count=10, batch_size=4, steps=15, seed=3)
    rows = np.concatenate([plan.batch(0, step)["row"] for step in range(15)])
    passes = rows.reshape(6, 10)
    assert (np.sort(passes, axis=1) == np.arange(10)).all()
    assert not (passes[0] == passes[1]).all()
    assert plan.epochs == 6


def test_batches_are_functions_of_seed_and_step():
    plan = StreamRows(5, 16, 30, seed=3)  # a batch spans several passes
    late = StreamRows(5, 16, 30, seed=3).batch(0, 29)
    for step in range(30):
        last = plan.batch(0, step)
    assert all(np.array_equal(last[key], late[key]) for key in late)
    other = StreamRows(5, 16, 30, seed=4).batch(0, 29)
    assert not np.array_equal(other["row"], late["row"])


def test_two_processes_share_the_batches_of_one():
    whole = list(PlanLoader(StreamRows(10, 4, 6, 0)))
    ranks = [list(PlanLoader(StreamRows(10, 4, 6, 0), rank, 2)) for rank in (0, 1)]
    for step in range(6):
        for key in ("row", "position", "step"):
            merged = np.empty(4, dtype=np.int64)
            for rank in (0, 1):
                merged[rank::2] = ranks[rank][step][key]
            np.testing.assert_array_equal(merged, whole[step][key])


def test_a_deck_never_splits_a_group_between_hands():
    cards = deck()
    hands = [cards.about(6), cards.exactly(4, "members"), cards.rest()]
    assert [len(hands[0]) in range(5, 8), len(hands[1])] == [True, 4]
    groups = [set(GROUPS[hand]) for hand in hands]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    with pytest.raises(UserError, match=r"benchmark\.members=30"):
        deck().exactly(30, "members")


def test_subsets_are_disjoint_by_group_and_even():
    hands = deck().split(3)
    assert sorted(np.concatenate(hands)) == list(range(20))
    assert max(map(len, hands)) - min(map(len, hands)) <= 3
    groups = [set(GROUPS[hand]) for hand in hands]
    assert sum(map(len, groups)) == 7


def test_derived_seeds_differ_and_stay():
    seeds = {derive_seed(a, b) for a in range(5) for b in ("x", "y", "xy")}
    assert len(seeds) == 15
    assert derive_seed(1, "a") == derive_seed(1, "a")
    assert 0 <= derive_seed(0) < 2**63
