"""The neighbour search is that of a fp64 search, whatever chunk, offset or order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from gansfp.errors import UserError
from gansfp.features import neighbours
from gansfp.features.neighbours import Exclusion, nearest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_agrees_with_scipy_in_float64(rng: np.random.Generator) -> None:
    queries, references = rng.normal(size=(53, 40)), rng.normal(size=(211, 40))
    distance, index = nearest(queries, references, 7)
    full = cdist(queries, references)
    order = np.argsort(full, axis=1)[:, :7]
    np.testing.assert_array_equal(index, order)
    np.testing.assert_allclose(distance, np.take_along_axis(full, order, 1), rtol=0, atol=1e-13)
    assert distance.dtype == np.float64
    assert index.dtype == np.int64


def test_agrees_with_sklearn(rng: np.random.Generator) -> None:
    queries = rng.normal(size=(60, 256)).astype(np.float32)
    references = rng.normal(size=(500, 256)).astype(np.float32)
    peer = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(references.astype(np.float64))
    expected, order = peer.kneighbors(queries.astype(np.float64))
    distance, index = nearest(queries, references, 5)
    np.testing.assert_array_equal(index, order)
    np.testing.assert_allclose(distance, expected, rtol=1e-7)


@pytest.mark.parametrize("chunk", [1, 3, 17, 64, 1000])
def test_chunk_size_changes_no_bit(rng: np.random.Generator, chunk: int) -> None:
    queries = rng.normal(size=(50, 33)).astype(np.float32)
    references = np.repeat(rng.normal(size=(60, 33)), 3, axis=0).astype(np.float32)  # ties
    whole = nearest(queries, references, 4)
    parts = nearest(queries, references, 4, chunk=chunk)
    assert whole[0].tobytes() == parts[0].tobytes()
    assert whole[1].tobytes() == parts[1].tobytes()


def test_ties_go_to_the_lower_index() -> None:
    references = np.zeros((40, 5))
    references[:3] = 1.0
    distance, index = nearest(np.zeros((2, 5)), references, 6, chunk=7)
    np.testing.assert_array_equal(index, [[3, 4, 5, 6, 7, 8]] * 2)
    np.testing.assert_array_equal(distance, np.zeros((2, 6)))


def test_constant_added_to_all_features_changes_nothing(rng: np.random.Generator) -> None:
    # Multiples of 2^-20 stay exact when 1e4 is added in fp64.
    queries = np.round(rng.normal(size=(30, 64)) * 2**20) / 2**20
    references = np.round(rng.normal(size=(90, 64)) * 2**20) / 2**20
    plain, shifted = nearest(queries, references, 3), nearest(queries + 1e4, references + 1e4, 3)
    np.testing.assert_array_equal(plain[0], shifted[0])
    np.testing.assert_array_equal(plain[1], shifted[1])


def test_near_duplicates_with_a_large_mean(rng: np.random.Generator) -> None:
    # fp32 torch.cdist reads .0045 as .017 here.
    references = (rng.normal(size=(400, 512)) + 3).astype(np.float32)
    queries = (references[:50] + 2e-4 * rng.normal(size=(50, 512))).astype(np.float32)
    distance, index = nearest(queries, references, 1)
    exact = np.linalg.norm(queries.astype(np.float64) - references[:50].astype(np.float64), axis=1)
    np.testing.assert_array_equal(index[:, 0], np.arange(50))
    np.testing.assert_allclose(distance[:, 0], exact, rtol=1e-12)
    assert 0.003 < exact.mean() < 0.006


def test_crowded_neighbourhood_is_searched_again(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 300 references whose distances differ by less than fp32 can tell, with one far outlier that
    # spoils the scale.
    centre = 100 * rng.normal(size=64)
    references = np.concatenate([centre + 1e-4 * rng.normal(size=(300, 64)), np.zeros((1, 64))])
    queries = centre + 1e-4 * rng.normal(size=(5, 64))
    calls: list[int] = []
    widen = neighbours.Search._widen
    monkeypatch.setattr(
        neighbours.Search, "_widen", lambda self, *args: (calls.append(1), widen(self, *args))[1]
    )
    _, index = nearest(queries, references, 5)
    exact = ((queries[:, None] - references[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(index, np.argsort(exact, axis=1)[:, :5])
    assert calls


def test_many_queries_are_searched_again_together(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ties beyond what fp32 can tell, for some queries only; others have clear neighbours.
    crowd = 50 * rng.normal(size=32) + 1e-5 * rng.normal(size=(200, 32))
    references = np.concatenate([crowd, 30 * rng.normal(size=(100, 32))])
    queries = np.concatenate([crowd[:90] + 1e-5, references[200:220] + 0.1])
    order = rng.permutation(110)
    exact = ((queries[order][:, None] - references[None]) ** 2).sum(-1)
    counts: list[int] = []
    widen = neighbours.Search._widen
    monkeypatch.setattr(
        neighbours.Search,
        "_widen",
        lambda self, *args: (counts.append(len(args[1])), widen(self, *args))[1],
    )
    for chunk in (None, 25):
        distance, index = nearest(queries[order], references, 3, chunk=chunk)
        np.testing.assert_array_equal(index, np.argsort(exact, axis=1)[:, :3])
        np.testing.assert_allclose(distance, np.sqrt(np.sort(exact, axis=1)[:, :3]), rtol=1e-12)
    assert sum(counts) == 180
    assert max(counts) == 64


def test_clear_neighbours_cost_one_exact_distance_each(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = rng.normal(size=(300, 128))
    pairs: list[int] = []
    exact = neighbours.Search.exact
    monkeypatch.setattr(
        neighbours.Search,
        "exact",
        lambda self, left, right: (pairs.append(len(left)), exact(self, left, right))[1],
    )
    _, index = nearest(references[:100] + 0.01, references, 1)
    np.testing.assert_array_equal(index[:, 0], np.arange(100))
    assert sum(pairs) == 100


def test_blocks_of_many_features_change_no_bit(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries, references = rng.normal(size=(200, 50)), rng.normal(size=(300, 50))
    whole = nearest(queries, references, 2)
    monkeypatch.setattr(neighbours, "_QUERY_ELEMENTS", 50 * 90)
    monkeypatch.setattr(neighbours, "_REFERENCE_ELEMENTS", 50 * 70)
    monkeypatch.setattr(neighbours, "_PIECE_ELEMENTS", 50 * 3)
    parts = nearest(queries, references, 2)
    assert [a.tobytes() for a in whole] == [b.tobytes() for b in parts]


def test_own_group_is_no_neighbour(rng: np.random.Generator) -> None:
    points = rng.normal(size=(40, 8))
    groups = np.array([f"p{i // 4}" for i in range(40)])
    distance, index = nearest(points, points, 3, Exclusion(groups, groups), chunk=6)
    assert (groups[index] != groups[:, None]).all()
    full = cdist(points, points)
    full[groups[:, None] == groups] = np.inf
    np.testing.assert_array_equal(index, np.argsort(full, axis=1)[:, :3])
    np.testing.assert_allclose(distance, np.sort(full, axis=1)[:, :3], atol=1e-13)


def test_own_row_is_no_neighbour() -> None:
    points = np.array([[0.0], [1.0], [3.0]])
    distance, index = nearest(points, points, 1, Exclusion(np.arange(3), np.arange(3)))
    np.testing.assert_array_equal(index[:, 0], [1, 0, 1])
    np.testing.assert_array_equal(distance[:, 0], [1, 1, 2])


def test_permuted_references_give_permuted_indices(rng: np.random.Generator) -> None:
    queries, references = rng.normal(size=(20, 16)), rng.normal(size=(70, 16))
    order = rng.permutation(70)
    distance, index = nearest(queries, references, 4)
    permuted_distance, permuted = nearest(queries, references[order], 4)
    np.testing.assert_array_equal(distance, permuted_distance)
    np.testing.assert_array_equal(index, order[permuted])


def test_too_few_references_names_the_numbers(rng: np.random.Generator) -> None:
    points = rng.normal(size=(6, 2))
    with pytest.raises(UserError, match=r"k=7.*lower k"):
        nearest(points, points, 7)
    groups = np.array(["a", "a", "a", "a", "b", "c"])
    with pytest.raises(UserError, match=r"k=3.*4 of 6.*2 of 6"):
        nearest(points, points, 3, Exclusion(groups, groups))


def test_integers_and_memory_maps_are_read(rng: np.random.Generator) -> None:
    points = rng.integers(0, 256, size=(30, 12), dtype=np.uint8)
    distance, _ = nearest(points, points, 2)
    np.testing.assert_array_equal(distance[:, 0], 0)
    full = cdist(points.astype(float), points.astype(float))
    np.testing.assert_allclose(distance, np.sort(full, axis=1)[:, :2], atol=1e-12)


def test_values_that_are_not_finite_are_refused() -> None:
    points = np.ones((5, 3))
    points[2, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        nearest(points, points, 1)
