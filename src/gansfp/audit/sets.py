"""The images of an audit: real ones that were used, synthetic ones, real ones not used."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp import build
from gansfp.data import embedded
from gansfp.data.groups import assign_groups
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from gansfp.data.sources.base import RealImages, Source

REAL, NONMEMBERS, SYNTHETIC = "real", "nonmembers", "synthetic"


@dataclass(frozen=True)
class AuditSets:
    """What an audit looks at; all images have one size.

    Attributes:
        real: The images that the generator was trained on.
        synthetic: Those to be released.
        nonmembers: Comparable real images that were not used; None: there are none.
        grouped: Whether patients are known, for `real` at the least.
    """

    real: RealImages
    synthetic: RealImages
    nonmembers: RealImages | None
    grouped: bool

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Real images, then those of the non-members, uint8, shape (n, H, W)."""
        others = () if self.nonmembers is None else (self.nonmembers.pixels,)
        return np.concatenate([self.real.pixels, *others])

    @property
    def groups(self) -> NDArray[np.str_]:
        """Patient of each image of `pixels`, shape (n,)."""
        others = () if self.nonmembers is None else self.nonmembers.groups
        return np.array([*self.real.groups, *others], dtype=np.str_)

    @property
    def labels(self) -> NDArray[np.int64]:
        """1 for `real`, 0 for non-members, in the order of `pixels`, shape (n,)."""
        others = 0 if self.nonmembers is None else len(self.nonmembers)
        return np.repeat([1, 0], [len(self.real), others])

    @property
    def exact_copies(self) -> list[tuple[str, str]]:
        """Synthetic images that are a real one, pixel by pixel: pairs of real and synthetic."""
        owner = dict(zip(self.real.hashes, self.real.names, strict=True))
        pairs = zip(self.synthetic.hashes, self.synthetic.names, strict=True)
        return [(owner[found], name) for found, name in pairs if found in owner]


def read_sets(
    places: dict[str, str | None], groups: str | None, source: Any, synthetic_source: Any
) -> AuditSets:
    """Read the images of an audit and check that they can be compared.

    Args:
        places: Where `real`, `synthetic` and `nonmembers` (or None) lie.
        groups: A csv of file and patient for real images and non-members, or None: what the source
            knows (DICOM patients, a `groups.csv` in the folder).
        source: Config node of the source that reads real images and non-members.
        synthetic_source: Config node of the source that reads synthetic images.

    Raises:
        UserError: A set cannot be read or is empty, sizes differ, an image or a patient is in
            `real` and in `nonmembers`, or groups do not fit.
    """
    synthetic = _read(SYNTHETIC, str(places[SYNTHETIC]), synthetic_source)
    real = _read(REAL, str(places[REAL]), source)
    given = places[NONMEMBERS]
    nonmembers = None if given is None else _read(NONMEMBERS, given, source)
    if groups is not None:
        real, nonmembers = _grouped(groups, real, nonmembers)
    return checked(AuditSets(real, synthetic, nonmembers, real.groups != real.names))


def checked(sets: AuditSets) -> AuditSets:
    """Refuse sets that cannot be compared; returns them otherwise.

    Raises:
        UserError: Sizes differ, or an image or a patient is in `real` and in `nonmembers`.
    """
    height, width = sets.real.pixels.shape[1:]
    for key, images in ((SYNTHETIC, sets.synthetic), (NONMEMBERS, sets.nonmembers)):
        if images is not None and images.pixels.shape[1:] != (height, width):
            other = images.pixels.shape[1]
            raise UserError(
                f"{key}: {other} x {other} pixels, but real has {height} x {width}; set "
                f"resize={min(other, height)}, which brings all to one size"
            )
    if sets.nonmembers is None:
        return sets
    used = dict(zip(sets.real.hashes, sets.real.names, strict=True))
    both = [
        (used[found], name)
        for found, name in zip(sets.nonmembers.hashes, sets.nonmembers.names, strict=True)
        if found in used
    ]
    if both:
        raise UserError(
            f"nonmembers: {_counted(len(both), 'image is', 'images are')} also in real, such as "
            f"{both[0][1]} ({both[0][0]} there); remove what was used from nonmembers"
        )
    shared = sorted(set(sets.real.groups) & set(sets.nonmembers.groups))
    if sets.grouped and shared:
        raise UserError(
            f"nonmembers: {_counted(len(shared), 'patient is', 'patients are')} also in real, such "
            f"as {shared[0]}; who was used is no non-member: remove these patients from nonmembers"
        )
    return sets if sets.grouped else _with_own_names(sets)


def _with_own_names(sets: AuditSets) -> AuditSets:
    """Keep apart images of one name in `real` and `nonmembers`, where each is its own group."""
    if sets.nonmembers is None:
        return sets
    groups = tuple(f"{NONMEMBERS}/{group}" for group in sets.nonmembers.groups)
    return replace(sets, nonmembers=replace(sets.nonmembers, groups=groups))


def _read(key: str, place: str, node: Any) -> RealImages:
    found = Path(str(embedded.resolve(place))).expanduser()
    if not found.exists():
        raise UserError(f"{key}={place}: no such folder; name the one that holds these images")
    source: Source = build.instantiate(node, path=str(found))
    images = source.read()
    return replace(images, names=_printable(images.names), groups=_printable(images.groups))


def _printable(names: Iterable[str]) -> tuple[str, ...]:
    """Spell out bytes of file names that are no UTF-8: they go into JSON and onto pages."""
    return tuple(
        name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        for name in names
    )


def _grouped(
    groups: str, real: RealImages, nonmembers: RealImages | None
) -> tuple[RealImages, RealImages | None]:
    path = Path(groups).expanduser()
    if not path.is_file():
        raise UserError(f"groups={groups}: no such file; it names a csv of file and patient")
    ids = [f"{REAL}/{name}" for name in real.names]
    if nonmembers is not None:
        ids += [f"{NONMEMBERS}/{name}" for name in nonmembers.names]
    assigned, problems = assign_groups(ids, [(path, None)])
    if problems:
        raise UserError(problems[0].replace("of this benchmark", "of real or nonmembers"))
    real_groups = tuple(assigned[: len(real)])
    if nonmembers is not None:
        nonmembers = replace(nonmembers, groups=tuple(assigned[len(real) :]))
    return replace(real, groups=real_groups), nonmembers


def read_marked(path: str, sets: AuditSets) -> NDArray[np.bool_]:
    """Read which images carry a canary.

    Args:
        path: A csv whose first column names files; names as in `groups`.
        sets: The images.

    Returns:
        Whether each image of `sets.pixels` is named, shape (n,).

    Raises:
        UserError: The file is missing, or names an image that is not there or is not unique.
    """
    place = Path(path).expanduser()
    if not place.is_file():
        raise UserError(f"canaries={path}: no such file; it names the marked images, one a line")
    with place.open(newline="", encoding="utf-8-sig") as file:
        listed = [row[0].strip() for row in csv.reader(file) if row and row[0].strip()]
    names = [f"{REAL}/{name}" for name in sets.real.names]
    if sets.nonmembers is not None:
        names += [f"{NONMEMBERS}/{name}" for name in sets.nonmembers.names]
    marked = np.zeros(len(names), dtype=bool)
    for position, wanted in enumerate(listed):
        rows = [k for k, name in enumerate(names) if name == wanted or name.endswith(f"/{wanted}")]
        if not rows and position == 0:
            continue  # the header
        if len(rows) != 1:
            what = "no image" if not rows else "several images; write real/ or nonmembers/ before"
            raise UserError(f"canaries={path}: {wanted} names {what}")
        marked[rows[0]] = True
    if not marked[: len(sets.real)].any():
        raise UserError(f"canaries={path}: names no image of real")
    return marked


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"
