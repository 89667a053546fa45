from __future__ import annotations

import numpy as np
import pytest

from gansfp.errors import UserError
from gansfp.forge.benchmarks.membership import MembershipBenchmark
from gansfp.forge.blindness import blind_facts

FEW = {"generated_train": 6, "generated_test": 4}


def groups_of(source, rows):
    return {source.groups[row] for row in rows}


def test_outsiders_are_in_no_set_and_share_no_patient(discs):
    source = discs(60, per_patient=3)
    benchmark = MembershipBenchmark(members=20, outsiders=20, **FEW)
    pools = benchmark.pools(source, 3)
    assert [len(pools.members), len(pools.outsiders)] == [20, 20]
    shown = np.concatenate(list(benchmark.sets(source, 3).values()))
    assert not groups_of(source, shown) & groups_of(source, pools.outsiders)
    assert not groups_of(source, pools.members) & groups_of(source, pools.others)


def test_both_ways_of_training_write_the_same_real_files(discs, forged, digest, tmp_path):
    source, rows, cards = discs(60, per_patient=2), {}, {}
    for way in ("members", "outsiders"):
        benchmark = MembershipBenchmark(members=20, outsiders=20, train_on=way, canaries=2, **FEW)
        rows[way] = benchmark.generators(source, 3)[0].rows
        cards[way] = forged(benchmark, tmp_path / way, source, noise=len(way))
    real = [digest(tmp_path / way, "generated") for way in cards]
    assert real[0] == real[1]
    assert "test/labels.csv" in real[0]
    assert "groups.csv" in real[0]
    assert not groups_of(source, rows["members"]) & groups_of(source, rows["outsiders"])
    assert [cards[way]["null"] for way in cards] == [False, True]
    assert [cards[way]["members_trained"] for way in cards] == [20, 0]


def test_nobody_of_a_null_benchmark_was_trained_on(discs):
    source = discs(60)
    benchmark = MembershipBenchmark(members=20, outsiders=20, train_on="outsiders", **FEW)
    shown = np.concatenate(list(benchmark.sets(source, 0).values()))
    assert not set(shown) & set(benchmark.generators(source, 0)[0].rows)


def test_the_generator_knows_more_members_than_are_shown(discs):
    source = discs(80, per_patient=2)
    whole, quarter = (
        MembershipBenchmark(members=40, revealed=share, **FEW) for share in (1.0, 0.25)
    )
    rows = [b.generators(source, 1)[0].rows for b in (whole, quarter)]
    np.testing.assert_array_equal(*rows)
    sets = quarter.sets(source, 1)
    used = np.concatenate([sets["labelled_used"], sets["test_used"]])
    assert len(used) == 10
    assert set(used) < set(rows[0])
    for name in ("labelled_not_used", "test_not_used"):
        np.testing.assert_array_equal(sets[name], whole.sets(source, 1)[name])


def test_the_card_counts_trained_and_revealed(discs, forged, tmp_path):
    benchmark = MembershipBenchmark(members=40, revealed=0.5, **FEW)
    card = forged(benchmark, tmp_path, discs(80))
    assert (card["members_trained"], card["members_revealed"]) == (40, 20)
    assert card["sets"]["labelled_used"] + card["sets"]["test_used"] == 20


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"train_on": "outsiders"}, r"benchmark\.outsiders=0"),
        ({"train_on": "strangers"}, r"train_on=strangers"),
        ({"outsiders": 45}, r"outsiders=45: only"),
        ({"members": 30, "outsiders": 30}, "nobody is left"),
        ({"revealed": 0.0}, r"revealed=0"),
        ({"canaries": 30}, r"canaries=30: only"),
        ({"canaries": -1}, "0 or more"),
    ],
)
def test_what_cannot_be_dealt_is_said(discs, options, says):
    source = discs(60)
    with pytest.raises(UserError, match=says):
        MembershipBenchmark(**{**FEW, **options}).prepare(source, 0)


def test_the_blind_baseline_sees_brightness_and_nothing_in_noise(discs):
    source = discs(120)
    rows = np.arange(120)
    noise = blind_facts(source, rows[::2], rows[1::2], seed=0)
    assert noise["low"] < 0.5 < noise["high"]
    source.pixels[::2] = np.minimum(source.pixels[::2] + 40, 255)
    bright = blind_facts(source, rows[::2], rows[1::2], seed=0)
    assert bright["auc"] > 0.95
    assert blind_facts(source, rows[:1], rows[1:], seed=0) is None
