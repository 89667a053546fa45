"""Near-duplicates: pictures of one set that look almost like a picture of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark

THUMBNAIL = 32
COSINE = 0.98
CHUNK = 2048
PIXELS = 1 << 23  # of the pictures that are shrunk at a time: 32 MB in fp32

# What is compared with what: (split, role) on both sides.
COMPARED = {
    "membership": (
        (("train", "real_used"), ("train", "real_not_used")),
        (("test", "real_unknown"), ("train", "real_used")),
        (("test", "real_unknown"), ("train", "real_not_used")),
        (("train", "generated"), ("train", "real_used")),
        (("train", "generated"), ("train", "real_not_used")),
        (("test", "generated"), ("test", "real_unknown")),
    ),
    "attribution": (
        (("test", "generated_unknown"), ("train", "generated")),
        (("test", "generated_unknown"), ("train", "real")),
        (("train", "generated"), ("train", "real")),
    ),
}


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Pictures of a set that nearly repeat a picture of another set.

    Attributes:
        left: Split and role of the pictures that were looked up.
        right: Split and role of the pictures that they were compared with.
        count: Pictures of `left` with a partner whose cosine is at least the threshold.
        total: Pictures in `left`.
        example: Sample ids of the most similar pair.
        cosine: Of that pair.
    """

    left: tuple[str, str]
    right: tuple[str, str]
    count: int
    total: int
    example: tuple[str, str]
    cosine: float


def near_duplicates(benchmark: Benchmark, threshold: float = COSINE) -> list[NearDuplicates]:
    """Compare the sets of a benchmark that should have nothing in common.

    Args:
        benchmark: Its images.
        threshold: Cosine of thumbnails from which on two pictures count as nearly equal.

    Returns:
        A comparison for every two sets that hold images.
    """
    thumbnails = unit_thumbnails(benchmark.store.pixels)
    sample_ids = benchmark.index.frame["sample_id"].to_numpy(dtype=object)
    found = []
    for left, right in COMPARED[benchmark.task]:
        rows, others = benchmark.rows(*left), benchmark.rows(*right)
        if not len(rows) or not len(others):
            continue
        cosine, partner = best_match(thumbnails[rows], thumbnails[others])
        best = int(cosine.argmax())
        example = (str(sample_ids[rows[best]]), str(sample_ids[others[partner[best]]]))
        count = int((cosine >= threshold).sum())
        found.append(NearDuplicates(left, right, count, len(rows), example, float(cosine[best])))
    return found


def unit_thumbnails(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Shrink pictures to 32 x 32, subtract each mean, and scale to unit length.

    Args:
        pixels: Grey values, uint8, shape (N, H, W).

    Returns:
        float32, shape (N, 1024); zero for pictures of one grey value.
    """
    shrunk = np.empty((len(pixels), THUMBNAIL**2), dtype=np.float32)
    step = max(1, PIXELS // (pixels.shape[1] * pixels.shape[2]))
    for start in range(0, len(pixels), step):
        chunk = torch.from_numpy(pixels[start : start + step]).float().unsqueeze(1)
        flat = F.adaptive_avg_pool2d(chunk, THUMBNAIL).flatten(1)
        shrunk[start : start + step] = _unit(flat - flat.mean(1, keepdim=True)).numpy()
    return shrunk


def _unit(vectors: Tensor) -> Tensor:
    # Rounding leaves a picture of one grey value a tiny norm; that must not become a unit vector.
    norms = vectors.norm(dim=1, keepdim=True)
    return torch.where(norms > 1e-2, vectors / norms.clamp_min(1e-2), 0.0)


def best_match(
    queries: NDArray[np.float32], references: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Find the most similar reference of each query, a chunk of queries at a time.

    Args:
        queries: Unit vectors, shape (n, D).
        references: Unit vectors, shape (m, D), m at least 1.

    Returns:
        Cosine and position of the best reference, each of shape (n,).
    """
    cosine = np.empty(len(queries), dtype=np.float32)
    partner = np.empty(len(queries), dtype=np.int64)
    columns = torch.from_numpy(references).T
    for start in range(0, len(queries), CHUNK):
        best = (torch.from_numpy(queries[start : start + CHUNK]) @ columns).max(dim=1)
        cosine[start : start + CHUNK] = best.values.numpy()
        partner[start : start + CHUNK] = best.indices.numpy()
    return cosine, partner
