"""Distances to many more samples than a bank holds, drawn anew and not kept."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gansfp.forge.networks import NETWORKS, read_network
from gansfp.forge.seeds import derive_seed
from gansfp.runtime.progress import duration
from gansfp.shadows.distances import DEPTH, encode, filled, merge_nearest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.features.representations import Representation
    from gansfp.forge.generator import GeneratorModule

    Values = NDArray[np.float64]

log = logging.getLogger(__name__)

EVERY_SECONDS = 20.0
"""The state is stored this often, and told."""


def distances_to_drawn(
    real: NDArray[np.uint8],
    folder: Path,
    name: str,
    representation: Representation,
    count: int,
    cache: Path,
    device: str,
    seed: int = 0,
) -> Values:
    """Find the distances of real images to the nearest of many samples of one generator.

    Exact copies of a real image do not count, as in the forge. The state is stored as the work goes
    on, so that a killed command goes on from there and ends with the same numbers.

    Args:
        real: uint8, shape (n, H, W).
        folder: The bank, with its networks.
        name: Of the generator.
        representation: What is compared.
        count: Number of samples.
        cache: Folder of the state.
        device: Where the network runs; on a GPU in bfloat16 where it can, as a forge there does.
        seed: Of the samples, which are others than the bank's.

    Returns:
        Ascending, shape (n, DEPTH).
    """
    path = cache / f"{name}.npz"
    key = _key(real, folder / NETWORKS / f"{name}.safetensors", representation, count, seed)
    best, done = _read(path, key)
    if best is None:
        best = np.full((len(real), DEPTH), np.inf)
    if done < count:
        module = read_network(folder / NETWORKS / name, device)
        vectors = encode(representation, real)
        known = {image.tobytes() for image in real}
        own, size = derive_seed(seed, "ceiling", name), module.sample_batch_size
        began, told, first = time.monotonic(), time.monotonic(), done
        while done < count:
            images = _draw(module, min(size, count - done), own, done)
            fresh = images[[image.tobytes() not in known for image in images]]
            if len(fresh):
                best = merge_nearest(best, vectors, encode(representation, fresh))
            done += len(images)
            if time.monotonic() - told > EVERY_SECONDS or done >= count:
                told = time.monotonic()
                _write(path, key, best, done)
                left = (told - began) / (done - first) * (count - done)
                log.info("%s: %d of %d samples, %s left", name, done, count, duration(left))
    return filled(best)


def _draw(module: GeneratorModule, count: int, seed: int, start: int) -> NDArray[np.uint8]:
    context: AbstractContextManager[Any] = nullcontext()
    if module.device.type == "cuda":
        context = torch.autocast("cuda", torch.bfloat16)
    with context:
        return module.sample(count, seed, start)


def _key(
    real: NDArray[np.uint8], weights: Path, representation: Representation, count: int, seed: int
) -> str:
    digest = hashlib.blake2b(np.ascontiguousarray(real).data, digest_size=16)
    with weights.open("rb") as file:
        digest.update(hashlib.file_digest(file, "blake2b").digest())
    digest.update(json.dumps(representation.spec(), sort_keys=True).encode())
    return f"{digest.hexdigest()}-{count}-{seed}"


def _read(path: Path, key: str) -> tuple[Values | None, int]:
    if not path.is_file():
        return None, 0
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["key"]) != key:
            return None, 0
        return np.asarray(stored["best"]), int(stored["done"])


def _write(path: Path, key: str, best: Values, done: int) -> None:
    """Store the state in one atomic step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with partial.open("wb") as file:
        np.savez(file, key=np.array(key), best=best, done=np.array(done), allow_pickle=False)
    partial.replace(path)
