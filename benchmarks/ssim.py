"""All-pairs SSIM against a loop over scikit-image's, in one process.

python benchmarks/ssim.py --left 64 --right 128 --size 256
python benchmarks/ssim.py --left 500 --right 5000 --size 256 --device cuda
"""

from __future__ import annotations

import argparse
import json
import time

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
    parser.add_argument("--tile", type=int, default=None)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    left, right = (draw(n, options.size, n) for n in (options.left, options.right))

    ssim_matrix(left[:8], right[:64], device=options.device, tile=options.tile)  # warm up
    start, used = time.perf_counter(), time.process_time()
    matrix = ssim_matrix(left, right, device=options.device, tile=options.tile)
    ours = (time.perf_counter() - start) / matrix.size
    ours_cpu = (time.process_time() - used) / matrix.size

    rng = np.random.default_rng(0)
    pairs = np.stack([rng.integers(0, n, options.loop) for n in matrix.shape], axis=1)
    start, used = time.perf_counter(), time.process_time()
    loop = [structural_similarity(left[i], right[j], data_range=255) for i, j in pairs]
    theirs = (time.perf_counter() - start) / len(pairs)
    theirs_cpu = (time.process_time() - used) / len(pairs)

    result = {
        "device": options.device,
        "threads": options.threads,
        "size": options.size,
        "pairs": matrix.size,
        "seconds": round(ours * matrix.size, 3),
        "ms_a_pair": round(ours * 1e3, 5),
        "scikit_image_ms_a_pair": round(theirs * 1e3, 3),
        "ratio": round(theirs / ours, 1),
        "ratio_of_core_time": round(theirs_cpu / ours_cpu, 1),
        "largest_difference": float(np.abs(matrix[tuple(pairs.T)] - loop).max()),
    }
    print(json.dumps(result))


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
