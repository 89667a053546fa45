"""Alignment and similarity of pairs against loops and other implementations; copies are found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from gansfp.errors import UserError
from gansfp.features.neighbours import nearest
from gansfp.features.ssim import ssim_matrix
from gansfp.features.ssim.pairs import WEIGHTS, count_scales, ms_ssim_pairs, ssim_pairs
from gansfp.methods.copies.alignment import align, middles, moved_windows
from gansfp.methods.copies.estimator import CopyEstimator

Data = Any


def textures(n: int, size: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(n, size, size))
    return (0.5 + gaussian_filter(noise, (0, 1.5, 1.5))).clip(0, 1).astype(np.float32)


def test_pairs_are_entries_of_the_matrix() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (2, 5, 20, 24), dtype=np.uint8)
    found = ssim_pairs(torch.from_numpy(grey[0]), torch.from_numpy(grey[1]))
    np.testing.assert_allclose(found, np.diag(ssim_matrix(grey[0], grey[1])), atol=1e-6)


def test_several_scales_are_a_weighted_product() -> None:
    left, right = (255 * textures(4, 64, seed) for seed in (0, 1))
    right = 0.6 * left + 0.4 * right
    pair = torch.from_numpy(left), torch.from_numpy(right)
    assert [count_scales(side, 7) for side in (7, 13, 14, 56, 64, 256)] == [1, 1, 2, 4, 4, 5]
    torch.testing.assert_close(ms_ssim_pairs(pair[0], pair[0]), torch.ones(4).double())
    one = ms_ssim_pairs(pair[0][:, :9, :9], pair[1][:, :9, :9])
    torch.testing.assert_close(one, ssim_pairs(pair[0][:, :9, :9], pair[1][:, :9, :9]).clamp(min=0))
    betas = tuple(weight / sum(WEIGHTS[:4]) for weight in WEIGHTS[:4])
    theirs = [  # population covariances and reflected edges: not the same to the last digit
        multiscale_structural_similarity_index_measure(
            a[None, None], b[None, None], gaussian_kernel=False, kernel_size=7, data_range=255.0,
            betas=betas,
        )
        for a, b in zip(*pair, strict=True)
    ]  # fmt: skip
    np.testing.assert_allclose(ms_ssim_pairs(*pair), theirs, atol=0.01)


def test_alignment_is_the_best_correlation_over_all_shifts() -> None:
    x, y = textures(4, 12, 0), textures(6, 12, 1)
    y[3] = np.roll(x[1], (2, -1), axis=(0, 1))
    found = align(x, y, 2, 6)
    for i in range(4):
        middle = x[i, 2:10, 2:10].ravel()
        for j, row, column, value in zip(
            found.index[i], found.row[i], found.column[i], found.correlation[i], strict=True
        ):
            every = {
                (a, b): np.corrcoef(middle, y[j, 2 + a : 10 + a, 2 + b : 10 + b].ravel())[0, 1]
                for a in range(-2, 3)
                for b in range(-2, 3)
            }
            assert (row, column) == max(every, key=lambda move: every[move])
            assert value == pytest.approx(every[row, column], abs=0.01)  # a grey level of noise
        assert (np.diff(found.correlation[i]) <= 0).all()
    assert (found.index[1, 0], found.row[1, 0], found.column[1, 0]) == (3, 2, -1)
    cut = moved_windows(y[3:4], found.row[1, :1], found.column[1, :1], 2)
    np.testing.assert_array_equal(cut, middles(x[1:2], 2))
    keys = np.arange(4), np.array([9, 9, 9, 1, 9, 9])
    assert 3 not in align(x, y, 2, 5, keys).index[1]


@pytest.mark.parametrize("measure", ["ssim", "ms_ssim"])
def test_moved_copies_are_found_that_pixels_hide(measure: Any) -> None:
    rng = np.random.default_rng(4)
    members, others = textures(30, 32, 1), textures(60, 32, 2)
    moved = [np.roll(one, rng.integers(-4, 5, 2), axis=(0, 1)) for one in members]
    synthetic = np.concatenate([np.stack(moved), textures(60, 32, 3)])
    synthetic = (synthetic + rng.normal(0, 0.05, synthetic.shape)).astype(np.float32)
    candidates, truth = np.concatenate([members, others[:30]]), np.repeat([1, 0], 30)
    method = CopyEstimator(measure, neighbours=3)
    keys = np.arange(60), np.arange(100, 130)
    scores = method.score_images(candidates, synthetic, others[30:], keys)
    assert roc_auc_score(truth, scores) > 0.99
    whole = -nearest(candidates.reshape(60, -1), synthetic.reshape(90, -1), 1)[0][:, 0]
    assert roc_auc_score(truth, whole) < 0.8


def test_what_looks_alike_anyway_is_no_copy() -> None:
    candidates, synthetic, others = textures(3, 24, 0), textures(9, 24, 1), textures(5, 24, 2)
    keys = np.arange(3), np.arange(10, 15)
    method = CopyEstimator(shortlist=5, neighbours=2, shift=1)
    score = method.score_images(candidates, synthetic, others, keys)
    best = method.similarities(candidates, synthetic)[:, 0]
    taken_off = method.similarities(candidates, others)[:, :2].mean(axis=1)
    np.testing.assert_allclose(score, best - taken_off)


def test_predicts_in_any_order_and_is_saved(membership: Data, tmp_path: Path) -> None:
    method = CopyEstimator(shift=1, neighbours=1, window=3).fit(membership)
    rows = membership.benchmark.candidates("test")
    scores = method.predict(membership, rows)
    np.testing.assert_array_equal(method.predict(membership, rows[::-1]), scores[::-1])
    method.save(tmp_path)
    np.testing.assert_array_equal(CopyEstimator.load(tmp_path).predict(membership, rows), scores)
    assert not method.transductive
    assert not method.fits_labels


def test_wrong_options_name_the_key(membership: Data) -> None:
    with pytest.raises(UserError, match=r"method.measure=lpips: choose ssim, ms_ssim"):
        CopyEstimator("lpips")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"method.shortlist=0"):
        CopyEstimator(shortlist=0)
    with pytest.raises(UserError, match=r"method.neighbours=6: there are fewer"):
        CopyEstimator(shift=1, neighbours=6, window=3).fit(membership)
    with pytest.raises(UserError, match=r"method.shift=30: images have"):
        CopyEstimator(shift=30).fit(membership)
