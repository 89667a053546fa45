"""Correlation after a shift, against a search by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gansfp.audit.aligned import aligned_neighbours, coarse, fine
from gansfp.features.neighbours import Exclusion


def by_hand(query: np.ndarray, other: np.ndarray, shift: int) -> float:
    side = len(query)
    middle = query[shift : side - shift, shift : side - shift].ravel()
    windows = [
        other[row : row + side - 2 * shift, column : column + side - 2 * shift].ravel()
        for row in range(2 * shift + 1)
        for column in range(2 * shift + 1)
    ]
    best = max(np.corrcoef(middle, window)[0, 1] for window in windows)
    return float(np.sqrt(max(0.0, 2 - 2 * best)))


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_distances_are_those_of_a_search_by_hand(population, shift: int) -> None:
    images = population(7, np.random.default_rng(0))
    vectors = fine(images)
    distance, index = aligned_neighbours(vectors[:3], vectors[3:], 2, shift=shift)
    wanted = np.array([[by_hand(a, b, shift) for b in images[3:]] for a in images[:3]])
    np.testing.assert_allclose(distance, np.sort(wanted, axis=1)[:, :2], atol=1e-5)
    np.testing.assert_array_equal(index, np.argsort(wanted, axis=1)[:, :2])


def test_a_shifted_copy_is_the_nearest(population) -> None:
    rng = np.random.default_rng(1)
    images, others = population(20, rng, 64), population(200, rng, 64)
    moved = np.roll(images, (2, -2), axis=(1, 2))
    references = fine(np.concatenate([others, moved]))
    distance, index = aligned_neighbours(fine(images), references, 1, shift=2)
    np.testing.assert_array_equal(index[:, 0], 200 + np.arange(20))
    assert distance.max() < 2e-3
    unmoved, _ = aligned_neighbours(fine(images), references, 1, shift=0)
    assert unmoved.min() > 0.1


def test_neighbours_do_not_depend_on_the_order_or_number_of_queries(population) -> None:
    vectors = fine(population(150, np.random.default_rng(2), 16))
    distance, index = aligned_neighbours(vectors[:90], vectors, 5)
    for row in (0, 63, 64, 89):
        alone = aligned_neighbours(vectors[row : row + 1], vectors, 5)
        np.testing.assert_allclose(alone[0][0], distance[row], atol=1e-6)
    flipped = aligned_neighbours(vectors[:90][::-1].copy(), vectors, 5)
    np.testing.assert_allclose(flipped[0][::-1], distance, atol=1e-6)
    assert (np.diff(distance, axis=1) >= 0).all()
    assert all(len(set(row)) == 5 for row in index.tolist())


def test_the_own_patient_is_left_out(population) -> None:
    vectors = fine(population(12, np.random.default_rng(3), 16))
    groups = np.repeat(np.arange(4), 3)
    _, index = aligned_neighbours(vectors, vectors, 5, Exclusion(groups, groups))
    assert (groups[index] != groups[:, None]).all()


def test_images_of_one_grey_value_are_far_from_all(population) -> None:
    images = np.concatenate(
        [np.full((1, 32, 32), 7, np.uint8), population(5, np.random.default_rng(4))]
    )
    distance, _ = aligned_neighbours(fine(images), fine(images[1:]), 1)
    assert distance[0, 0] == pytest.approx(np.sqrt(2))
    assert np.isfinite(distance).all()


def test_coarse_is_the_mean_of_cells(population) -> None:
    images = population(4, np.random.default_rng(5), 64)
    cells = images.astype(float).reshape(4, 16, 4, 16, 4).mean(axis=(2, 4)).reshape(4, -1)
    wanted = [(row - row.mean()) / np.linalg.norm(row - row.mean()) for row in cells]
    np.testing.assert_allclose(coarse(fine(images)), wanted, atol=1e-5)
