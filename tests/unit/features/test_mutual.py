"""One pass in both directions against two searches, brute force and the peers' counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from gansfp.features.mutual import mutual
from gansfp.features.neighbours import nearest
from gansfp.features.selection import smallest, smallest_of_columns


@pytest.fixture
def sets(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    left = rng.normal(3, 1, (203, 12)).astype(np.float32)
    right = rng.normal(3, 1, (517, 12)).astype(np.float32)
    right[5], right[9] = left[7], left[7] + 1e-4  # a copy and a near copy
    return left, right


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("block", [(4096, 8192), (64, 100), (203, 1)])
def test_one_pass_is_two_searches_bit_for_bit(
    sets: tuple[np.ndarray, np.ndarray], block: tuple[int, int]
) -> None:
    left, right = sets
    found = mutual(left, right, 20, 2, block=block)
    for ours, search in (
        ((found.distance, found.index), nearest(left, right, 20)),
        ((found.back_distance, found.back_index), nearest(right, left, 2)),
    ):
        assert ours[0].tobytes() == search[0].tobytes()
        assert ours[1].tobytes() == search[1].tobytes()
    assert found.inside is None


@pytest.mark.parametrize("block", [(4096, 8192), (50, 64)])
def test_counts_within_a_radius_are_brute_force(
    sets: tuple[np.ndarray, np.ndarray], block: tuple[int, int]
) -> None:
    left, right = sets
    full = cdist(left.astype(np.float64), right.astype(np.float64))
    radius = float(np.median(full.min(axis=1)))  # one of the distances: strictly nearer
    found = mutual(left, right, 1, 1, radius=radius, logs=True, block=block)
    inside = full < radius
    assert found.inside is not None
    assert found.inside_log is not None
    np.testing.assert_array_equal(found.inside, inside.sum(axis=1))
    assert np.isinf(found.inside_log[7])  # the copy
    others = np.arange(len(left)) != 7
    with np.errstate(divide="ignore"):
        expected = np.where(inside, np.log(radius / full), 0).sum(axis=1)
    np.testing.assert_allclose(found.inside_log[others], expected[others], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("columns", "width"), [(7, 3), (100, 5), (1003, 24), (64, 64)])
def test_the_smallest_are_those_of_topk(rng: np.random.Generator, columns: int, width: int) -> None:
    values = torch.from_numpy(rng.permutation(31 * columns).reshape(31, columns).astype(np.float32))
    best, where = values.topk(width, largest=False)
    for found in (smallest(values, width), smallest_of_columns(values.T.contiguous(), width)):
        assert torch.equal(found[0], best)
        assert torch.equal(found[1], where)


def test_too_few_vectors_are_refused(sets: tuple[np.ndarray, np.ndarray]) -> None:
    left, right = sets
    with pytest.raises(ValueError, match="k_back=204"):
        mutual(left, right, 1, 204)
    with pytest.raises(ValueError, match="expected"):
        mutual(left, right[:, :3], 1, 1)
