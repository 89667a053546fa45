"""Reads a bank of shadow generators."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.images import DecodeSettings, read_images
from gansfp.data.layout import IMAGE_SUFFIXES, natural_key
from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEMBERSHIP = "membership.csv"
GROUPS = "groups.csv"
REAL = "real"
GENERATED = "generated"


@dataclass(frozen=True)
class Bank:
    """K generators, and who of N real images is known to each.

    Attributes:
        files: Real image files, as `membership.csv` names them, N of them.
        real: Their grey levels, uint8, shape (N, H, W).
        groups: Patient of each real image, shape (N,); the file where none is known.
        membership: Whether a generator was trained on an image, shape (K, N).
        generated: The images of each generator, uint8, shape (M, H, W), by name, K of them in the
            order of `membership`.
    """

    files: tuple[str, ...]
    real: NDArray[np.uint8]
    groups: NDArray[np.str_]
    membership: NDArray[np.bool_]
    generated: dict[str, NDArray[np.uint8]]

    @property
    def names(self) -> tuple[str, ...]:
        """The generators."""
        return tuple(self.generated)


def read_bank(folder: str | Path, cache_dir: str | Path | None = None) -> Bank:
    """Read what `gansfp forge benchmark=bank` has written.

    Args:
        folder: The benchmark.
        cache_dir: Where decoded pixels are kept; None: the user's cache folder.

    Raises:
        UserError: A table or an image is missing or cannot be read.
    """
    root = Path(folder).expanduser()
    cache = None if cache_dir is None else Path(cache_dir).expanduser()
    names, files, membership = _membership(root / MEMBERSHIP)
    owner = dict(row for row in _table(root / GROUPS, 2)[1:]) if (root / GROUPS).is_file() else {}
    generated = {}
    for name in names:
        places = _pictures(root / GENERATED / name)
        generated[name] = _pixels(places, cache)
    real = _pixels([root / file for file in files], cache)
    groups = np.array([owner.get(file, file) for file in files])
    return Bank(files, real, groups, membership, generated)


def _membership(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], NDArray[np.bool_]]:
    header, *rows = _table(path, None)
    marks = [row[1:] for row in rows]
    if len(header) < 2 or not rows or any(mark not in ("0", "1") for row in marks for mark in row):
        raise UserError(f"{path}: must hold a file and a 0 or 1 for each generator a line")
    return (
        tuple(header[1:]),
        tuple(row[0] for row in rows),
        np.array(marks).T == "1",
    )


def _table(path: Path, width: int | None) -> list[list[str]]:
    """Read a csv file whose lines have one width: the header's, or the one given."""
    if not path.is_file():
        raise UserError(f"{path}: no such file; a bank is written by gansfp forge benchmark=bank")
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.reader(stream) if row]
    wanted = width or (len(rows[0]) if rows else 1)
    if not rows or any(len(row) != wanted for row in rows):
        raise UserError(f"{path}: every line must have {wanted} columns")
    return rows


def _pictures(folder: Path) -> list[Path]:
    found = list(folder.iterdir()) if folder.is_dir() else []
    images = [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise UserError(f"{folder}: no image in it; forge the bank again")
    return sorted(images, key=lambda path: natural_key(path.name))


def _pixels(paths: list[Path], cache: Path | None) -> NDArray[np.uint8]:
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise UserError(f"{missing[0]}: no such file, one of {len(missing)}; forge the bank again")
    images = read_images(paths, DecodeSettings(), cache)
    for path, record in zip(paths, images.records, strict=True):
        if record.error:
            raise UserError(f"{path}: {record.error}")
    return np.asarray(images.pixels)
