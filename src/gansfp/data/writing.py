"""Writes benchmark folders: 8-bit PNG files with unpadded names, and the two small csv files."""

from __future__ import annotations

import csv
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_GREY_RAMP = bytes(np.repeat(np.arange(256, dtype=np.uint8), 3))


def write_png(path: Path, pixels: NDArray[np.uint8], palette: bool = True) -> None:
    """Write one image without loss.

    Args:
        path: Where to; its folder exists.
        pixels: Grey levels, shape (H, W).
        palette: Store a grey palette, as ImageCLEF's archives do, instead of plain grey.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise ValueError(f"expected uint8 (H, W), got {pixels.dtype} {pixels.shape}")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    if palette:
        # Not convert("P"): that would quantise to an adaptive palette.
        ramp = Image.frombytes("P", image.size, image.tobytes())
        ramp.putpalette(_GREY_RAMP)
        image = ramp
    image.save(path, format="PNG", compress_level=4)


def write_images(
    folder: Path, stem: str, pixels: NDArray[np.uint8], palette: bool = True
) -> list[str]:
    """Write images as `<stem>_1.png`, `<stem>_2.png`, ... in the order given.

    Args:
        folder: Where to; made with its parents.
        stem: First part of the names.
        pixels: Grey levels, shape (N, H, W).
        palette: See `write_png`.

    Returns:
        The N file names.
    """
    names = image_names(stem, len(pixels))
    write_stream([folder / name for name in names], [pixels], palette)
    return names


def image_names(stem: str, count: int) -> list[str]:
    """Number file names from 1 without padding: `<stem>_1.png`, ..."""
    return [f"{stem}_{number}.png" for number in range(1, count + 1)]


def write_stream(
    paths: Sequence[Path], chunks: Iterable[NDArray[np.uint8]], palette: bool = True
) -> None:
    """Write images while they are made, in threads: compression lets go of the interpreter lock.

    Args:
        paths: Where each image goes; folders are made.
        chunks: Grey levels, each chunk of shape (n, H, W), in the order of the paths.
        palette: See `write_png`.
    """
    for folder in {path.parent for path in paths}:
        folder.mkdir(parents=True, exist_ok=True)
    done = 0
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for chunk in chunks:
            places = paths[done : done + len(chunk)]
            done += len(chunk)
            for _ in pool.map(write_png, places, chunk, [palette] * len(chunk)):
                pass  # raises what a thread raised
    if done != len(paths):
        raise ValueError(f"{len(paths)} paths for {done} images")


def usable_cpus() -> int:
    """Count the CPUs that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return usable or 1


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a small csv file with a header and Unix line ends.

    Args:
        path: Where to; made with its folder.
        header: Names of the columns.
        rows: The lines.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
