"""Writes toy benchmarks in seconds, with known truth: to try commands on, not to believe in."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from toy_anatomy import draw_patients, draw_slices, render
from toy_generator import ToyGenerator

from gansfp.data.writing import image_names, write_csv, write_images, write_stream
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_SUBSETS = 5

# Slices a patient: most have one, some two or three. A cycle of ten patients shows 15 slices.
_SLICES = (1, 2, 1, 1, 3, 1, 2, 1, 1, 2)

# What sets the five subsets apart: a mild shift of the patients, and the generator's own hand.
_SHIFTS: tuple[dict[str, float], ...] = (
    {"body_width": -0.7, "heart_width": 0.5},
    {"fat": 0.8, "lung_level": 0.6},
    {"blood_level": 0.8, "hilum": 0.7},
    {"body_height": -0.8, "liver_radius": 0.7},
    {"body_width": 0.7, "soft_level": -0.7},
)
_GENERATORS = (
    ToyGenerator(warp=1.9, mixture=0.3, tilt=-0.36, ripple=1.2, ripple_period=4.0),
    ToyGenerator(warp=2.1, mixture=0.3, tilt=-0.06, ripple=1.2, ripple_period=5.0),
    ToyGenerator(warp=1.9, mixture=0.3, tilt=0.08, ripple=1.2, ripple_period=3.0),
    ToyGenerator(warp=2.1, mixture=0.3, tilt=-0.2, ripple=1.2, ripple_period=2.5),
    ToyGenerator(warp=2.0, mixture=0.3, tilt=0.22, ripple=1.2, ripple_period=6.0),
)


@dataclass(frozen=True, slots=True)
class MembershipCounts:
    """Images of a toy membership benchmark.

    Attributes:
        labelled: Labelled real images, used; and as many not used.
        test: Test images, used; and as many not used.
        generated_train: Synthetic images for training.
        generated_test: Synthetic images for the test.
    """

    labelled: int = 60
    test: int = 100
    generated_train: int = 400
    generated_test: int = 200


@dataclass(frozen=True, slots=True)
class AttributionCounts:
    """Images of each subset of a toy attribution benchmark.

    Attributes:
        real: Real images.
        train: Synthetic images for training.
        test: Synthetic images for the test.
    """

    real: int = 40
    train: int = 80
    test: int = 60


Counts = TypeVar("Counts", MembershipCounts, AttributionCounts)


def write_toy_membership(
    folder: Path | str, seed: int = 0, size: int = 64, counts: MembershipCounts | None = None
) -> Path:
    """Write a toy membership benchmark in ImageCLEF's folders.

    By default 120 labelled and 200 test images of virtual patients, half of each used; 400 + 200
    images of a toy generator that saw the used ones alone. Used and unused patients are draws from
    one population: who does not look at the generated images can only guess.

    Args:
        folder: Where to; nothing happens if it already holds this very benchmark.
        seed: Another seed, other patients.
        size: Side of the images in pixels.
        counts: How many images of each kind.

    Returns:
        The folder.

    Raises:
        UserError: The folder holds something else.
    """
    counts = counts or MembershipCounts()
    return _write_once(Path(folder), "membership", seed, size, counts, _fill_membership)


def write_toy_attribution(
    folder: Path | str, seed: int = 0, size: int = 64, counts: AttributionCounts | None = None
) -> Path:
    """Write a toy attribution benchmark in ImageCLEF's folders.

    Five subsets t1 to t5, by default of 40 real images, no patient in two of them, and one toy
    generator a subset: 80 images to train on and 60 to test.

    Args:
        folder: Where to; nothing happens if it already holds this very benchmark.
        seed: Another seed, other patients.
        size: Side of the images in pixels.
        counts: How many images of each kind a subset.

    Returns:
        The folder.

    Raises:
        UserError: The folder holds something else.
    """
    counts = counts or AttributionCounts()
    return _write_once(Path(folder), "attribution", seed, size, counts, _fill_attribution)


def _write_once(
    folder: Path,
    task: str,
    seed: int,
    size: int,
    counts: Counts,
    fill: Callable[[Path, np.random.Generator, int, Counts], None],
) -> Path:
    """Fill a partial folder and rename it, unless the benchmark is already there."""
    folder = folder.expanduser()
    card = {"toy": True, "task": task, "seed": seed, "size": size, "counts": asdict(counts)}
    card_path = folder / "card.json"
    if card_path.is_file() and json.loads(card_path.read_text(encoding="utf-8")) == card:
        return folder
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: holds something else; name an empty folder for the toy")
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    fill(partial, np.random.default_rng([seed, size, task == "membership"]), size, counts)
    (partial / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    if folder.exists():
        folder.rmdir()
    partial.rename(folder)
    return folder


def _fill_membership(
    folder: Path, rng: np.random.Generator, size: int, counts: MembershipCounts
) -> None:
    """Draw the four real sets and the generator's images."""
    sets = ("used", "not_used", "test_used", "test_not_used")
    wanted = (counts.labelled, counts.labelled, counts.test, counts.test)
    images, groups = _draw_sets(wanted, [{}] * 4, rng, size)
    real, group = dict(zip(sets, images, strict=True)), dict(zip(sets, groups, strict=True))
    members = np.concatenate([real["used"], real["test_used"]])
    parts = {"train": counts.generated_train, "test": counts.generated_test}
    paths = [
        folder / split / "generated" / name
        for split, count in parts.items()
        for name in image_names("generated", count)
    ]
    write_stream(paths, ToyGenerator().draw(members, len(paths), rng))
    rows: list[tuple[str, str]] = []
    for label in ("used", "not_used"):
        names = write_images(folder / f"train/real_{label}", f"real_{label}", real[label])
        rows += zip((f"train/real_{label}/{name}" for name in names), group[label], strict=True)
    order = rng.permutation(2 * counts.test)
    unknown = np.concatenate([real["test_used"], real["test_not_used"]])[order]
    unknown_groups = [*group["test_used"], *group["test_not_used"]]
    names = write_images(folder / "test/real_unknown", "real_unknown", unknown)
    rows += [
        (f"test/real_unknown/{name}", unknown_groups[k])
        for name, k in zip(names, order, strict=True)
    ]
    labels = [(name, int(k < counts.test)) for name, k in zip(names, order, strict=True)]
    write_csv(folder / "test/labels.csv", ("file", "label"), labels)
    write_csv(folder / "groups.csv", ("file", "group"), rows)


def _fill_attribution(
    folder: Path, rng: np.random.Generator, size: int, counts: AttributionCounts
) -> None:
    """Draw five subsets of patients, and what each subset's own generator makes of it."""
    images, groups = _draw_sets((counts.real,) * _SUBSETS, _SHIFTS, rng, size)
    unknown = folder / "test/generated_unknown"
    rows: list[tuple[str, str]] = []
    tests: list[Path] = []
    for k, generator in enumerate(_GENERATORS):
        name = f"t{k + 1}"
        files = write_images(folder / f"train/real/{name}", f"real_{name}", images[k])
        rows += zip((f"train/real/{name}/{file}" for file in files), groups[k], strict=True)
        train = folder / f"train/generated/gen_{name}"
        paths = [train / file for file in image_names(f"generated_{name}", counts.train)]
        tests += (last := [unknown / f"{name}_{j}.tmp" for j in range(counts.test)])
        write_stream([*paths, *last], generator.draw(images[k], len(paths) + len(last), rng))
    # Mixed by renaming: a contest's test set is too large to be held in memory.
    order = rng.permutation(len(tests))
    names = image_names("generated_unknown", len(tests))
    for file, k in zip(names, order, strict=True):
        tests[k].rename(unknown / file)
    labels = [(file, f"t{k // counts.test + 1}") for file, k in zip(names, order, strict=True)]
    write_csv(folder / "test/labels.csv", ("file", "label"), labels)
    write_csv(folder / "groups.csv", ("file", "group"), rows)


def _draw_sets(
    counts: tuple[int, ...],
    shifts: tuple[dict[str, float], ...] | list[dict[str, float]],
    rng: np.random.Generator,
    size: int,
) -> tuple[list[NDArray[np.uint8]], list[list[str]]]:
    """Draw patient-disjoint sets of slices: images of each set, and their patients' names."""
    images, owners, first = [], [], 0
    for count, shift in zip(counts, shifts, strict=True):
        owner = _owners(count)
        patients = draw_patients(int(owner[-1]) + 1, rng, shift)
        images.append(render(draw_slices(patients, owner, rng), size, rng))
        owners.append(owner + first)
        first += int(owner[-1]) + 1
    # Numbers are dealt anew, so that a patient's number does not tell the set.
    number = rng.permutation(first) + 1
    return images, [[f"patient_{number[k]}" for k in owner] for owner in owners]


def _owners(count: int) -> NDArray[np.int64]:
    """Deal `count` slices out to patients, the same way for every set."""
    repeats = np.resize(_SLICES, count)
    return np.repeat(np.arange(count), repeats)[:count]
