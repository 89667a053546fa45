"""Windows against loops, and local or shifted copies that whole images do not show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from gansfp.errors import UserError
from gansfp.features.neighbours import nearest
from gansfp.methods.patches.estimator import FLOOR, PatchEstimator
from gansfp.methods.patches.windows import corners, standardised, window_distances

Data = Any


def textures(n: int, size: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(n, size, size))
    smooth = gaussian_filter(noise, (0, 1.5, 1.5))
    return (0.5 + smooth).clip(0, 1).astype(np.float32)


def test_window_distance_is_the_best_correlation_over_shifts() -> None:
    x, y = textures(5, 12, 0), textures(7, 12, 1)
    keys = np.arange(5), np.array([0, 0, 9, 9, 1, 8, 7])
    found = window_distances(x, y, (3, 4), 6, 2, 2, keys)
    only = window_distances(x, y, (3, 4), 6, 2, 1, keys)[:, 0]
    for i in range(5):
        best = []
        for j in range(7):
            if keys[0][i] == keys[1][j]:
                continue
            window = x[i, 3:9, 4:10]
            others = [
                y[j, 3 + a : 9 + a, 4 + b : 10 + b] for a in range(-2, 3) for b in range(-2, 3)
            ]
            best.append(max(np.corrcoef(window.ravel(), other.ravel())[0, 1] for other in others))
        expected = np.sqrt(2 - 2 * np.sort(best)[::-1][:2])
        np.testing.assert_allclose(found[i], expected, atol=0.01)  # a grey level of noise
        assert only[i] == pytest.approx(found[i, 0])


def test_a_window_of_air_has_no_direction() -> None:
    rng = np.random.default_rng(0)
    air = (20 + rng.integers(0, 2, (4, 8, 8))).astype(np.float32) / 255
    vectors = standardised(air, 0, 0, 8)
    assert np.linalg.norm(vectors, axis=1).max() < 0.5
    assert (standardised(air * 0, 0, 0, 8) == 0).all()


def test_corners_are_even_and_leave_room() -> None:
    assert corners(64, 24, 4, 1).tolist() == [1, 14, 26, 39]
    assert corners(64, 56, 1, 4).tolist() == [4]
    with pytest.raises(UserError, match=r"method.window=64"):
        corners(64, 64, 1, 1)


@pytest.fixture(scope="module")
def local() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Members, others, and synthetic images with a quarter of a member, moved by a pixel."""
    members, others = textures(40, 32, 1), textures(80, 32, 2)
    synthetic = textures(120, 32, 3)
    rng = np.random.default_rng(4)
    for number in range(80):
        row, column = rng.integers(1, 15, 2)
        source = members[number % 40, row : row + 16, column : column + 16]
        synthetic[number, row - 1 : row + 15, column + 1 : column + 17] = source
    return np.concatenate([members, others[:40]]), others[40:], synthetic


def test_finds_local_copies_that_whole_images_hide(
    local: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    candidates, outsiders, synthetic = local
    truth = np.repeat([1, 0], 40)
    whole = -nearest(candidates.reshape(80, -1), synthetic.reshape(120, -1), 1)[0][:, 0]
    real = np.concatenate([candidates, outsiders])
    kept = np.arange(len(real)) >= 80
    scores = PatchEstimator(shift=2).score_images(real, [synthetic], kept, np.arange(len(real)))
    found = roc_auc_score(truth, scores[:80])
    assert found > roc_auc_score(truth, whole) + 0.15
    assert found > 0.85


def test_finds_shifted_copies() -> None:
    members, others = textures(30, 32, 1), textures(60, 32, 2)
    moved = np.roll(members, (2, -3), axis=(1, 2))
    real = np.concatenate([members, others])
    truth = np.arange(60) < 30
    copy = PatchEstimator(window=1.0, grid=1, shift=4, statistic="difference", k_scale=3)
    scores = copy.score_images(real, [moved], np.arange(90) >= 60, np.arange(90))[:60]
    assert roc_auc_score(truth, scores) == 1.0
    whole = -nearest(real[:60].reshape(60, -1), moved.reshape(30, -1), 1)[0][:, 0]
    assert roc_auc_score(truth, whole) < 0.7


def test_blocks_change_no_score() -> None:
    real, synthetic = textures(12, 16, 1), textures(20, 16, 2)
    method = PatchEstimator(window=0.5, grid=2, shift=1)
    kept, keys = np.ones(12, dtype=bool), np.arange(12) // 2
    whole = method.score_images(real, [synthetic], kept, keys)
    blocks = (synthetic[start : start + 7] for start in range(0, 20, 7))
    np.testing.assert_array_equal(method.score_images(real, blocks, kept, keys), whole)


def test_scores_are_means_of_the_best_windows(membership: Data, tmp_path: Path) -> None:
    method = PatchEstimator(window=0.5, grid=2, shift=0, top=2).fit(membership)
    rows = membership.benchmark.candidates("test")
    scores = method.predict(membership, rows)
    grey = membership.benchmark.images(rows) / np.float32(255)
    everyone = np.concatenate([membership.benchmark.candidates("train"), rows])
    pool = membership.benchmark.images(everyone) / np.float32(255)
    synthetic = membership.benchmark.images(membership.generated_rows) / np.float32(255)
    local = []
    for row in (0, 4):
        for column in (0, 4):
            x, y, p = (standardised(side, row, column, 4) for side in (grey, synthetic, pool))
            near = np.linalg.norm(x[:, None] - y, axis=2).min(axis=1)
            among = np.linalg.norm(x[:, None] - p, axis=2)
            among[everyone == rows[:, None]] = np.inf
            local.append(np.log(np.hypot(among.min(axis=1), FLOOR) / np.hypot(near, FLOOR)))
    expected = np.sort(local, axis=0)[-2:].mean(axis=0)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    method.save(tmp_path)
    loaded = PatchEstimator.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(membership, rows), scores)
    assert loaded.transductive
    assert not PatchEstimator(against="labelled").transductive


def test_wrong_options_name_the_key(membership: Data) -> None:
    for options in ({"window": 0}, {"statistic": "sum"}, {"against": "all"}, {"top": 0}):
        with pytest.raises(UserError, match=next(iter(options))):
            PatchEstimator(**options)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"method.k_scale=12"):
        PatchEstimator(against="labelled", k_scale=12).fit(membership)
