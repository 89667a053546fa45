from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gansfp.data.benchmark import Benchmark
from gansfp.data.folds import benchmark_folds, first_of_each, make_folds
from gansfp.errors import UserError


@pytest.mark.parametrize("seed", range(5))
def test_no_group_lies_in_two_folds_and_classes_are_even(seed: int) -> None:
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), generator.integers(1, 5, 60)).astype(str)
    labels = np.where(groups.astype(int) % 2, "used", "not_used").astype(object)
    folds = make_folds(labels, groups, 5, seed)
    assert set(folds) == set(range(5))
    assert pd.Series(folds).groupby(groups).nunique().max() == 1
    for label in ("used", "not_used"):
        counts = np.bincount(folds[labels == label])
        assert counts.max() - counts.min() <= 4


def test_without_groups_counts_differ_by_one_at_most() -> None:
    labels = np.array(["a"] * 23 + ["b"] * 12, dtype=object)
    folds = make_folds(labels, np.arange(35).astype(str), 5, 0)
    assert sorted(np.bincount(folds[labels == "a"])) == [4, 4, 5, 5, 5]
    assert sorted(np.bincount(folds[labels == "b"])) == [2, 2, 2, 3, 3]


def test_seed_decides() -> None:
    labels, groups = np.array(["a", "b"] * 20, dtype=object), np.arange(40).astype(str)
    first = make_folds(labels, groups, 4, 1)
    np.testing.assert_array_equal(first, make_folds(labels, groups, 4, 1))
    assert not np.array_equal(first, make_folds(labels, groups, 4, 2))


def test_a_class_of_too_few_groups() -> None:
    labels = np.array(["a"] * 10 + ["b"] * 10, dtype=object)
    groups = np.array([f"p{k}" for k in range(10)] + ["q", "r"] * 5)
    with pytest.raises(UserError, match=r"data\.folds=5: class b has 2 groups; set data\.folds=2"):
        make_folds(labels, groups, 5, 0)
    with pytest.raises(UserError, match="at least 2"):
        make_folds(labels, groups, 1, 0)


def test_folds_are_stored_and_read_back(membership: Benchmark, tmp_path: Path) -> None:
    path = tmp_path / "new" / "folds.csv"
    folds = benchmark_folds(membership, 5, 0, path)
    frame = pd.read_csv(path)
    assert list(frame.columns) == ["sample_id", "fold"]
    assert len(frame) == 22
    # Another order in the file, another seed: the file decides.
    frame.iloc[::-1].to_csv(path, index=False)
    np.testing.assert_array_equal(benchmark_folds(membership, 5, seed=9, path=path), folds)


def test_a_file_of_other_images_is_refused(membership: Benchmark, tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    benchmark_folds(membership, 5, 0, path)
    whole = pd.read_csv(path)
    broken = {
        "lists other images": [
            whole.iloc[1:],
            pd.concat([whole, whole.iloc[:1]]),
            whole.assign(sample_id=whole["sample_id"].str.replace("used", "uzed")),
        ],
        "columns must be": [whole.rename(columns={"fold": "part"})],
        "does not hold folds 0 to 4": [whole.assign(fold=whole["fold"].clip(upper=3))],
    }
    for message, frames in broken.items():
        for frame in frames:
            frame.to_csv(path, index=False)
            with pytest.raises(UserError, match=message) as error:
                benchmark_folds(membership, 5, 0, path)
            assert str(path) in str(error.value)


def test_a_file_that_tears_a_group_is_refused(load, membership_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    folds = benchmark_folds(load("membership", membership_root), 5, 0, path)
    frame = pd.read_csv(path)
    one, other = (frame["sample_id"][np.flatnonzero(folds == fold)[0]] for fold in (0, 1))
    (membership_root / "groups.csv").write_text(f"{one},p1\n{other},p1\n")
    with pytest.raises(UserError, match="group p1 lies in several folds"):
        benchmark_folds(load("membership", membership_root), 5, 0, path)


def test_first_of_each_is_nested_and_even() -> None:
    rows, labels = np.arange(100, 160), np.repeat(np.array(["a", "b", "c"], dtype=object), 20)
    small, large = (first_of_each(rows, labels, count, seed=0) for count in (5, 12))
    assert set(small) < set(large)
    assert [sum(labels[large - 100] == name) for name in "abc"] == [12, 12, 12]
    assert np.array_equal(first_of_each(rows, labels, 99, seed=0), rows)
    assert not np.array_equal(small, first_of_each(rows, labels, 5, seed=1))
