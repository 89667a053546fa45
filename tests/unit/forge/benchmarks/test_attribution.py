from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from gansfp.data.benchmark import load_benchmark
from gansfp.data.sources.phantom import PhantomSource
from gansfp.data.sources.phantom.source import region_of
from gansfp.errors import UserError
from gansfp.forge.benchmarks.attribution import AttributionBenchmark

FEW = {"generated_train": 5, "generated_test": 4}


def labels_of(folder):
    with (folder / "labels.csv").open() as stream:
        return dict(list(csv.reader(stream))[1:])


def test_further_generators_have_tests_of_their_own(discs, forged, tmp_path):
    source = discs(30, per_patient=2)
    benchmark = AttributionBenchmark(subsets=3, generators=2, **FEW)
    plans = {plan.name: plan for plan in benchmark.generators(source, 3)}
    assert list(plans) == ["t1_A", "t2_A", "t3_A", "t1_B", "t2_B", "t3_B"]
    assert [plans[name].count for name in ("t1_A", "t1_B")] == [9, 4]
    np.testing.assert_array_equal(plans["t2_A"].rows, plans["t2_B"].rows)
    card = forged(benchmark, tmp_path, source)
    assert card["tests"] == ["test", "test_B"]
    plain = load_benchmark("attribution", root=tmp_path)
    other = load_benchmark("attribution", root=tmp_path, test_dir=tmp_path / "test_B")
    assert plain.classes == other.classes == ("t1", "t2", "t3")
    assert plain.has_groups
    assert other.has_groups
    tests = [b.index.frame["sample_id"][b.candidates("test")] for b in (plain, other)]
    assert [len(ids) for ids in tests] == [12, 12]
    assert not set(tests[0]) & set(tests[1])
    train = [b.images(b.candidates("train")) for b in (plain, other)]
    np.testing.assert_array_equal(*train)
    for folder in ("test", "test_B"):
        labels = labels_of(tmp_path / folder)
        assert sorted(labels.values()) == ["t1"] * 4 + ["t2"] * 4 + ["t3"] * 4
        assert list(labels.values()) != sorted(labels.values())
        there = {path.name for path in (tmp_path / folder / "generated_unknown").iterdir()}
        assert there == set(labels)


def test_a_test_image_is_of_the_generator_that_its_label_names(discs, tmp_path):
    source = discs(30)
    benchmark = AttributionBenchmark(subsets=2, generators=3, **FEW)
    plans = benchmark.generators(source, 0)
    shape = source.pixels.shape[1:]
    shades = {plan.name: 10 * k for k, plan in enumerate(plans)}
    images = {p.name: np.full((p.count, *shape), shades[p.name], np.uint8) for p in plans}
    benchmark.write(tmp_path, source, images, 0)
    for letter, folder in (("A", "test"), ("B", "test_B"), ("C", "test_C")):
        for file, label in labels_of(tmp_path / folder).items():
            grey = np.asarray(Image.open(tmp_path / folder / "generated_unknown" / file))
            assert grey[0, 0] == shades[f"{label}_{letter}"]


def test_one_generator_keeps_its_plain_name(discs):
    plans = AttributionBenchmark(subsets=2, **FEW).generators(discs(30), 0)
    assert [plan.name for plan in plans] == ["t1", "t2"]


@pytest.mark.parametrize("equal", [False, True])
def test_subsets_are_the_values_of_a_covariate(discs, forged, tmp_path, equal):
    region = np.array(["neck", "chest", "chest"] * 20)
    source = discs(60, per_patient=2, covariates={"region": region, "female": np.ones(60)})
    benchmark = AttributionBenchmark(by="region", equal=equal, **FEW)
    dealt = benchmark.dealt(source, 0)
    assert list(dealt) == ["chest", "neck"]
    assert [len(rows) for rows in dealt.values()] == ([20, 20] if equal else [40, 20])
    assert all((region[rows] == label).all() for label, rows in dealt.items())
    card = forged(benchmark, tmp_path, source)
    wanted = {g for g in source.groups if g in {source.groups[r] for r in dealt["chest"]}}
    wanted &= {source.groups[r] for r in benchmark.dealt(source, 3)["neck"]}
    if not equal:
        assert card["patients_shared"] == len(wanted) == 20
    assert load_benchmark("attribution", root=tmp_path).classes == ("chest", "neck")


def test_numbers_are_named_as_one_writes_them(discs):
    source = discs(30, covariates={"female": np.r_[np.zeros(10), np.ones(20)]})
    assert list(AttributionBenchmark(by="female", **FEW).dealt(source, 0)) == ["0", "1"]


@pytest.mark.parametrize(
    ("covariates", "by", "says"),
    [
        ({}, "region", r"no such covariate \(none\)"),
        ({"age": np.arange(60.0), "female": np.ones(60)}, "sex", r"\(age, female\)"),
        ({"age": np.arange(60.0)}, "age", "has 60 values"),
        ({"female": np.ones(60)}, "female", "has 1 values"),
        ({"mark": np.array(["a-b", "ab"] * 30)}, "mark", "can name folders"),
        ({"mark": np.array(["a/b", "c"] * 30)}, "mark", "name no folders"),
    ],
)
def test_a_covariate_that_divides_nobody_is_refused(discs, covariates, by, says):
    source = discs(60, covariates=covariates)
    with pytest.raises(UserError, match=says):
        AttributionBenchmark(by=by, **FEW).generators(source, 0)


def test_random_subsets_can_be_cut_to_one_size(discs):
    source = discs(31, per_patient=3)
    dealt = AttributionBenchmark(subsets=3, equal=True, **FEW).dealt(source, 0)
    assert len({len(rows) for rows in dealt.values()}) == 1


def test_mixed_phantoms_know_their_region_and_others_do_not():
    levels = np.array([-200.0, -47.6, -47.4, 40.0, 107.4, 107.6])
    wanted = ["neck", "neck", "chest", "chest", "chest", "abdomen"]
    assert region_of(levels).tolist() == wanted
    mixed = PhantomSource(3, image_size=16, region="mixed", workers=1).read()
    found = mixed.covariates
    np.testing.assert_array_equal(found["region"], region_of(found["level"]))
    assert "region" not in PhantomSource(1, image_size=16, workers=1).read().covariates
    assert len(mixed.fingerprint) == 32
