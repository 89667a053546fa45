from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from gansfp.data.sources.phantom import PhantomSource
from gansfp.errors import UserError
from gansfp.forge.benchmarks.attribution import AttributionBenchmark
from gansfp.forge.benchmarks.mixing import homes, mix, shares

FEW = {"generated_train": 5, "generated_test": 4}


def regional(discs, neck=10, chest=20, abdomen=30, per_patient=1):
    """Patients of three regions, in a random order."""
    region = np.repeat(["neck", "chest", "abdomen"], (neck, chest, abdomen))
    region = np.repeat(np.random.default_rng(1).permutation(region), per_patient)
    return discs(len(region), per_patient, covariates={"region": region})


def patients(source, rows):
    return {source.groups[row] for row in rows}


@pytest.mark.parametrize(
    ("keys", "digest"),
    [
        ({"by": "region"}, "4dbda411f8a3723a"),
        ({"by": "region", "purity": 1.0, "equal": True}, "56d1dfa1f828568e"),
        ({"subsets": 3}, "e40bc5c46c2256a3"),
        ({"subsets": 4, "equal": True}, "fde661a16f5e5670"),
    ],
)
def test_pure_deals_are_those_from_before_purity_was_a_key(discs, keys, digest):
    region = np.array(["neck", "chest", "chest"] * 20)
    source = discs(60, per_patient=2, covariates={"region": region})
    found = hashlib.sha256()
    for label, rows in AttributionBenchmark(**keys, **FEW).dealt(source, 5).items():
        found.update(label.encode() + rows.astype("<i8").tobytes())
    assert found.hexdigest()[:16] == digest


@pytest.mark.parametrize("per_patient", [1, 3])
@pytest.mark.parametrize("equal", [False, True])
def test_a_subset_is_mostly_of_its_own_value(discs, per_patient, equal):
    # The rarest value has 10 patients: 6 of the own value, 4 dealt to the two others, 2 each.
    source = regional(discs, per_patient=per_patient)
    region = source.covariates["region"]
    dealt = AttributionBenchmark(by="region", purity=0.6, equal=equal, **FEW).dealt(source, 0)
    assert list(dealt) == ["abdomen", "chest", "neck"]
    for label, rows in dealt.items():
        others = {other: 2 * per_patient for other in dealt if other != label}
        assert Counter(region[rows].tolist()) == {label: 6 * per_patient, **others}
        assert len(set(rows.tolist())) == len(rows)
    owners = [patients(source, rows) for rows in dealt.values()]
    assert len(set.union(*owners)) == sum(map(len, owners)) == 30


def test_own_patients_do_not_come_first(discs):
    source = regional(discs, 50, 50, 50)
    own = source.covariates["region"][mix_of(source, 0.6, 0)["neck"]] == "neck"
    assert 10 < own[:25].sum() < 20  # 15 expected, 25 if they did


def test_the_deal_is_a_function_of_the_seed(discs):
    source = regional(discs)
    first, again, other = (mix_of(source, 0.6, seed) for seed in (3, 3, 4))
    for label, rows in first.items():
        np.testing.assert_array_equal(rows, again[label])
        assert patients(source, rows) != patients(source, other[label])


def mix_of(source, purity, seed):
    benchmark = AttributionBenchmark(by="region", purity=purity, **FEW)
    return benchmark.dealt(source, seed)


@pytest.mark.parametrize(
    ("count", "values", "purity", "counts"),
    [
        (10, 3, 0.6, [6, 2, 2]),
        (10, 3, 0.65, [6, 2, 2]),
        (10, 3, 0.7, [7, 2, 1]),
        (101, 4, 0.5, [50, 17, 17, 17]),
        (100, 4, 0.5, [50, 17, 17, 16]),
        (12, 2, 0.75, [9, 3]),
        (7, 3, 1.0, [7, 0, 0]),
    ],
)
def test_shares_by_hand(count, values, purity, counts):
    assert shares(count, values, purity) == counts


def test_a_patient_of_several_values_goes_as_a_whole_with_most_of_its_images():
    groups = np.array(["p0"] * 3 + ["p1"] * 2 + ["p2"] * 4 + ["p3"] * 2)
    by_value = {"a": np.array([0, 1, 3, 5]), "b": np.array([2, 4, 6, 7, 8, 9, 10])}
    assert homes(groups, by_value) == {"p0": "a", "p1": "a", "p2": "b", "p3": "b"}
    whole = mix(groups, by_value, 1.0, 0)
    assert sorted(whole["a"].tolist()) == [0, 1, 2, 3, 4]
    assert sorted(whole["b"].tolist()) == [5, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("purity", [-0.5, 0.0, 1 / 3, 1.01])
def test_a_purity_out_of_range_is_refused(discs, purity):
    benchmark = AttributionBenchmark(by="region", purity=purity, **FEW)
    with pytest.raises(UserError, match=r"purity=.*above 1/3 .* at most 1"):
        benchmark.generators(regional(discs), 0)


def test_purity_without_values_or_patients_is_refused(discs):
    with pytest.raises(UserError, match=r"benchmark\.purity=0\.6: needs benchmark\.by"):
        AttributionBenchmark(purity=0.6, **FEW)
    with pytest.raises(UserError, match="of the 3 patients of a subset 1 would be of its own"):
        mix_of(regional(discs, 3, 9, 9), 0.4, 0)


def test_the_card_counts_who_is_in_a_subset(discs, forged, tmp_path):
    source = regional(discs, 5, 6, 7, per_patient=2)
    benchmark = AttributionBenchmark(by="region", purity=0.6, equal=True, **FEW)
    card = forged(benchmark, tmp_path, source)
    assert card["purity"] == 0.6
    assert card["patients_shared"] == 0
    assert card["patients_by_value"] == {
        label: {other: 3 if other == label else 1 for other in ("abdomen", "chest", "neck")}
        for label in ("abdomen", "chest", "neck")
    }
    random = forged(AttributionBenchmark(subsets=2, **FEW), tmp_path / "random", source)
    assert "patients_by_value" not in random


def test_mixed_phantoms_can_be_mixed():
    source = PhantomSource(24, image_size=16, region="mixed", workers=1).read()
    dealt = AttributionBenchmark(by="region", purity=0.6, equal=True, **FEW).dealt(source, 0)
    assert len({len(rows) for rows in dealt.values()}) == 1
    owners = [patients(source, rows) for rows in dealt.values()]
    assert len(set.union(*owners)) == sum(map(len, owners))
