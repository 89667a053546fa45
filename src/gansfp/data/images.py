"""Image files to one uint8 array: decoded once, in threads, cached by content."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from gansfp.data import cache
from gansfp.data.decode import decode_image, resize_pixels
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

log = logging.getLogger(__name__)

CACHE_VERSION = 1
CHUNK = 256


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """How files become pixels.

    Attributes:
        resize: Height and width that every image is scaled to; None keeps the files' size.
        bits16: The grey values that become 0 and 255 where a file has more than 8 bits.
    """

    resize: tuple[int, int] | None = None
    bits16: tuple[int, int] = (0, 65535)

    def __post_init__(self) -> None:
        if self.bits16[1] <= self.bits16[0]:
            raise UserError(f"data.bits16={list(self.bits16)}: the second value must be the larger")
        if self.resize is not None and min(self.resize) < 1:
            raise UserError(f"data.resize={list(self.resize)}: must be positive")


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What the index keeps of one file.

    Attributes:
        width: Pixels in the file.
        height: Pixels in the file.
        mode: Colour type in the file.
        pixel_hash: Hash of the grey pixels at the file's own size.
        error: Why the file cannot be read; empty where it can.
    """

    width: int
    height: int
    mode: str
    pixel_hash: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Images:
    """Decoded files.

    Attributes:
        pixels: Grey values, uint8, shape (N, H, W); black where a file cannot be read. Pictures of
            another size than the first readable one are scaled to it (the checks refuse them).
        records: One for each file, in order.
    """

    pixels: NDArray[np.uint8]
    records: tuple[ImageRecord, ...]


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/gansfp`, or `~/.cache/gansfp`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gansfp"


def read_images(
    paths: Sequence[Path], settings: DecodeSettings, cache_dir: Path | None = None
) -> Images:
    """Decode files, or map what an earlier call decoded.

    The cache key covers names, sizes and times of the files and the settings. Nothing is cached
    where a file cannot be read. A cache that cannot be written is replaced by memory, with a
    warning. A new entry makes old ones give way (`gansfp.data.cache`).

    Args:
        paths: The files, in the order of the rows.
        settings: How to decode.
        cache_dir: Where decoded pixels are kept; None: `default_cache_dir()`.

    Returns:
        Pixels (memory-mapped where cached) and a record for each file.
    """
    if not paths:
        return Images(np.zeros((0, 1, 1), np.uint8), ())
    base = (cache_dir or default_cache_dir()) / "pixels"
    entry = base / _cache_key(paths, settings)
    cached = _read_entry(entry, len(paths))
    if cached is not None:
        cache.mark_used(entry)
        return cached
    shape = settings.resize or _first_shape(paths, settings)
    cache.limit_bytes()  # refused before the work, not after
    try:
        decoded = _decode_to_cache(paths, settings, shape, entry)
        cache.prune(base)
        return decoded
    except OSError as error:
        log.warning("%s: images stay in memory, not in the cache (%s)", base, error.strerror)
    pixels = np.empty((len(paths), *shape), np.uint8)
    return Images(pixels, _decode_all(paths, settings, shape, _Filler(pixels)))


def _cache_key(paths: Sequence[Path], settings: DecodeSettings) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(repr((CACHE_VERSION, settings.resize, settings.bits16)).encode())
    with ThreadPoolExecutor(_workers()) as pool:
        stats = pool.map(os.stat, paths)
        for path, stat in zip(paths, stats, strict=True):
            facts = f"{path.absolute()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ctime_ns}\n"
            digest.update(facts.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read_entry(entry: Path, count: int) -> Images | None:
    """Map a cache entry; None where there is none or it is damaged."""
    try:
        # Copy on write: torch wants a writable array, and the file must never change.
        pixels = np.load(entry / "pixels.npy", mmap_mode="c")
        rows = json.loads((entry / "records.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, EOFError):
        return None
    if len(pixels) != count or len(rows) != count:
        return None
    return Images(pixels, tuple(ImageRecord(*row) for row in rows))


def _decode_to_cache(
    paths: Sequence[Path], settings: DecodeSettings, shape: tuple[int, int], entry: Path
) -> Images:
    """Decode into a new cache entry that appears in one step.

    Raises:
        OSError: The cache cannot be written.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    partial = entry.with_name(f".{entry.name}.{uuid.uuid4().hex}.tmp")
    partial.mkdir()
    try:
        # Ordinary writes and not a memory map: a full disk is then an error and not a bus error.
        with (partial / "pixels.npy").open("wb") as file:
            _write_header(file, (len(paths), *shape))
            records = _decode_all(paths, settings, shape, lambda chunk: file.write(chunk.data))
        if any(record.error for record in records):
            return Images(np.load(partial / "pixels.npy"), records)
        rows = [[r.width, r.height, r.mode, r.pixel_hash] for r in records]
        (partial / "records.json").write_text(json.dumps(rows), encoding="utf-8")
        if _read_entry(entry, len(paths)) is None:
            shutil.rmtree(entry, ignore_errors=True)
            with contextlib.suppress(OSError):  # Another process was faster: its entry is as good.
                partial.rename(entry)
        return _read_entry(entry, len(paths)) or Images(np.load(partial / "pixels.npy"), records)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_header(file: BinaryIO, shape: tuple[int, int, int]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


class _Filler:
    """Writes chunks one after the other into an array."""

    def __init__(self, target: NDArray[np.uint8]) -> None:
        self._target = target
        self._filled = 0

    def __call__(self, chunk: NDArray[np.uint8]) -> None:
        self._target[self._filled : self._filled + len(chunk)] = chunk
        self._filled += len(chunk)


def _first_shape(paths: Sequence[Path], settings: DecodeSettings) -> tuple[int, int]:
    for path in paths:
        try:
            height, width = decode_image(path, settings.bits16).pixels.shape
        except UserError:
            continue
        return height, width
    return 1, 1


def _decode_all(
    paths: Sequence[Path],
    settings: DecodeSettings,
    shape: tuple[int, int],
    sink: Callable[[NDArray[np.uint8]], object],
) -> tuple[ImageRecord, ...]:
    """Decode in threads, chunk by chunk in order; memory is bounded by a chunk."""
    records: list[ImageRecord] = []

    def decode_into(target: NDArray[np.uint8], path: Path) -> ImageRecord:
        try:
            picture = decode_image(path, settings.bits16)
        except UserError as error:
            target[...] = 0
            return ImageRecord(0, 0, "", "", str(error))
        target[...] = resize_pixels(picture.pixels, shape)
        height, width = picture.pixels.shape
        return ImageRecord(width, height, picture.mode, picture.pixel_hash)

    with ThreadPoolExecutor(_workers()) as pool:
        for start in range(0, len(paths), CHUNK):
            group = paths[start : start + CHUNK]
            chunk = np.empty((len(group), *shape), np.uint8)
            records.extend(pool.map(decode_into, chunk, group))
            sink(chunk)
    return tuple(records)


def _workers() -> int:
    """Threads: the CPUs that this process may use, and some more to hide a slow file system."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(32, (usable or 1) + 4)
