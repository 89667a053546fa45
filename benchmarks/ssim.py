"""All-pairs SSIM against a loop over scikit-image's, in one process.

python benchmarks/ssim.py --left 64 --right 128 --size 256
python benchmarks/ssim.py --left 500 --right 5000 --size 256 --device cuda
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from gansfp.features.ssim import ssim_matrix


def main() -> None:
    """Time both, compare their values, print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--left", type=int, default=64)
    parser.add_argument("--right", type=int, default=128)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--loop", type=int, default=40, help="pairs of the scikit-image loop")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=5, help="both in turns; medians are shown")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    left, right = (draw(n, options.size, n) for n in (options.left, options.right))
    rng = np.random.default_rng(0)
    pairs = np.stack([rng.integers(0, len(side), options.loop) for side in (left, right)], axis=1)

    ssim_matrix(left[:8], right[:64], device=options.device)  # compile, warm up
    ours, theirs = [], []
    for _ in range(options.rounds):
        matrix, *spent = timed(lambda: ssim_matrix(left, right, device=options.device))
        ours.append(np.divide(spent, matrix.size))
        loop, *spent = timed(
            lambda: [structural_similarity(left[i], right[j], data_range=255) for i, j in pairs]
        )
        theirs.append(np.divide(spent, len(pairs)))

    (wall, core), (their_wall, their_core) = (np.median(times, axis=0) for times in (ours, theirs))
    result = {
        "device": options.device,
        "threads": options.threads,
        "size": options.size,
        "pairs": matrix.size,
        "seconds": round(wall * matrix.size, 3),
        "ms_a_pair": round(wall * 1e3, 5),
        "scikit_image_ms_a_pair": round(their_wall * 1e3, 3),
        "ratio": round(their_wall / wall, 1),
        "ratio_of_core_time": round(their_core / core, 1),
        "largest_difference": float(np.abs(matrix[tuple(pairs.T)] - loop).max()),
    }
    print(json.dumps(result))


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Run something; its result, and the seconds of wall and of core time that it took."""
    start, used = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - start, time.process_time() - used


def draw(n: int, size: int, seed: int) -> np.ndarray:
    """Smooth fields with noise inside a black border, as CT slices have."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.standard_normal((n, size // 4, size // 4)), (0, 3, 3))
    smooth = np.repeat(np.repeat(smooth * 40 / smooth.std(), 4, axis=1), 4, axis=2)
    images = 110 + smooth + rng.normal(0, 8, smooth.shape)
    images[:, : size // 8] = images[:, :, : size // 8] = 0
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


if __name__ == "__main__":
    main()
