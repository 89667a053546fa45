"""Embeddings of many images, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.features.backbones import Backbone

logger = logging.getLogger(__name__)


def embed(
    images: NDArray[np.uint8],
    backbone: Backbone,
    batch_size: int = 32,
    cache_dir: str | Path | None = None,
) -> NDArray[np.float32]:
    """Embed grey images with a frozen backbone.

    Args:
        images: uint8, shape (N, H, W).
        backbone: From `gansfp.features.backbones.load_backbone`.
        batch_size: Images at a time.
        cache_dir: Folder of finished embeddings, keyed by pixels, weights and preprocessing; None:
            nothing is kept.

    Returns:
        Pooled features, float32, shape (N, dim).
    """
    if cache_dir is None:
        return _compute(images, backbone, batch_size)
    path = Path(cache_dir).expanduser() / f"{cache_key(images, backbone)}.npy"
    cached = _read(path, (len(images), backbone.dim))
    if cached is not None:
        return cached
    features = _compute(images, backbone, batch_size)
    try:
        _write(path, features)
    except OSError as error:
        logger.warning("%s: embeddings are not kept (%s)", path.parent, error.strerror)
    return features


def cache_key(images: NDArray[np.uint8], backbone: Backbone) -> str:
    """Name what embeddings depend on: pixels, weights and preprocessing, not batch or device."""
    digest = hashlib.sha256()
    digest.update(f"{images.shape}|{backbone.name}|{backbone.identity}|".encode())
    digest.update(backbone.preprocessing.encode())
    for block in np.array_split(images, max(1, len(images) // 1024)):
        digest.update(block.tobytes())
    return f"{backbone.name}-{digest.hexdigest()[:32]}"


def _compute(images: NDArray[np.uint8], backbone: Backbone, batch_size: int) -> NDArray[np.float32]:
    features = np.empty((len(images), backbone.dim), dtype=np.float32)
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.array(images[start : start + batch_size]))
        features[start : start + len(batch)] = backbone.features(batch).cpu().numpy()
    return features


def _read(path: Path, shape: tuple[int, int]) -> NDArray[np.float32] | None:
    try:
        features: NDArray[np.float32] = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as error:
        logger.warning("%s: unreadable, computed again (%s)", path, error)
        return None
    return features if features.shape == shape else None


def _write(path: Path, features: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with partial.open("wb") as file:
        np.save(file, features, allow_pickle=False)
    partial.replace(path)
