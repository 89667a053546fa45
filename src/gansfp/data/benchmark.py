"""A benchmark: its index and its pixels, read from disk and checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.checks import UNKNOWN_ROLE, check_index, check_records
from gansfp.data.embedded import resolve
from gansfp.data.groups import assign_groups, find_group_files
from gansfp.data.images import DecodeSettings, Images, read_images
from gansfp.data.index import Index, build_index
from gansfp.data.layout import Layout, Task, read_layout
from gansfp.data.store import ImageStore
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MEMBER_LABELS = ("not_used", "used")


@dataclass(frozen=True)
class Benchmark:
    """A data set of one task. Rows are positions in the index, the same in index and store.

    Attributes:
        task: "membership" or "attribution".
        index: One row an image.
        store: Their pixels.
        classes: Attribution classes in natural order; empty for membership.
    """

    task: Task
    index: Index
    store: ImageStore
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.index)

    def rows(
        self, split: str | None = None, role: str | None = None, label: str | None = None
    ) -> NDArray[np.int64]:
        """Find the rows that match every argument given, ascending."""
        frame = self.index.frame
        mask = np.ones(len(frame), dtype=bool)
        for column, value in (("split", split), ("role", role), ("label", label)):
            if value is not None:
                mask &= frame[column].to_numpy(dtype=object) == value
        return np.flatnonzero(mask).astype(np.int64)

    def candidates(self, split: str) -> NDArray[np.int64]:
        """Find the rows that the task asks about.

        Args:
            split: "train" (labelled: real images used and not used, or generated images with a
                class) or "test" (unknown).
        """
        if split == "test":
            return self.rows("test", UNKNOWN_ROLE[self.task])
        roles = ("real_used", "real_not_used") if self.task == "membership" else ("generated",)
        return np.sort(np.concatenate([self.rows("train", role) for role in roles]))

    def images(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Copy images, uint8, shape (B, H, W)."""
        return np.asarray(self.store.pixels[rows])

    def groups(self, rows: NDArray[np.int64]) -> NDArray[np.str_]:
        """Name the group of each row; the sample id where no group is known."""
        return self.index.frame["group"].to_numpy(dtype=object)[rows].astype(np.str_)

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.object_]:
        """Name the label of each row; None where it is unknown."""
        return np.asarray(self.index.frame["label"].to_numpy(dtype=object)[rows])

    def targets(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number the labels: 1 = used, or the position in `classes`.

        Raises:
            ValueError: A row has no label.
        """
        names = self.classes if self.task == "attribution" else MEMBER_LABELS
        number = {name: k for k, name in enumerate(names)}
        labels = self.labels(rows)
        unknown = [label for label in set(labels.tolist()) if label not in number]
        if unknown:
            raise ValueError(f"rows with label {unknown[0]} have no target")
        return np.array([number[label] for label in labels], dtype=np.int64)

    @property
    def has_groups(self) -> bool:
        """Whether a group file joined images (or named them otherwise than by themselves)."""
        frame = self.index.frame
        return bool((frame["group"] != frame["sample_id"]).any())

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of every image in the store."""
        _, height, width = self.store.pixels.shape
        return height, width


@dataclass(frozen=True)
class Survey:
    """A benchmark as far as it can be read, with everything that speaks against using it.

    Attributes:
        benchmark: Its readable images. With problems only fit to be looked at.
        layout: Its folders.
        problems: One line for each problem; empty for a sound benchmark.
    """

    benchmark: Benchmark
    layout: Layout
    problems: tuple[str, ...]


def load_benchmark(
    task: Task,
    root: str | Path | None = None,
    train_dir: str | Path | None = None,
    test_dir: str | Path | None = None,
    groups: str | Path | None = None,
    resize: int | Sequence[int] | None = None,
    bits16: Sequence[int] = (0, 65535),
    cache_dir: str | Path | None = None,
    generated_from: str | Path | None = None,
) -> Benchmark:
    """Read a benchmark; the arguments are those of `survey_benchmark`.

    Raises:
        UserError: A folder is missing, or any check fails; the line names the files and the cure.
    """
    survey = survey_benchmark(
        task, root, train_dir, test_dir, groups, resize, bits16, cache_dir, generated_from
    )
    if survey.problems:
        rest = len(survey.problems) - 1
        more = f" (and {rest} more problems: gansfp inspect shows them)" if rest else ""
        raise UserError(survey.problems[0] + more)
    return survey.benchmark


def survey_benchmark(
    task: Task,
    root: str | Path | None = None,
    train_dir: str | Path | None = None,
    test_dir: str | Path | None = None,
    groups: str | Path | None = None,
    resize: int | Sequence[int] | None = None,
    bits16: Sequence[int] = (0, 65535),
    cache_dir: str | Path | None = None,
    generated_from: str | Path | None = None,
) -> Survey:
    """Read a benchmark and collect every problem instead of stopping at the first.

    Args:
        task: "membership" or "attribution".
        root: Holds the train and the test folder, and perhaps `groups.csv`; or
            `embedded:<task>/<benchmark>`, as the other places too.
        train_dir: The train folder, where it does not lie in `root`.
        test_dir: The test folder, where it does not lie in `root`.
        groups: Table of file and group, instead of the `groups.csv` in the folders.
        resize: Side, or height and width, that every image is scaled to; None: sizes must agree.
        bits16: Grey values that become 0 and 255 where a file has more than 8 bits.
        cache_dir: Where decoded pixels are kept; None: the user's cache folder.
        generated_from: Another membership benchmark, whose synthetic images stand in for its own.

    Raises:
        UserError: A folder that everything else hangs on is missing.
    """
    settings = DecodeSettings(_shape(resize), _pair(bits16, "data.bits16"))
    root, train_dir, test_dir, generated_from = (
        resolve(place) for place in (root, train_dir, test_dir, generated_from)
    )
    layout = read_layout(task, root, train_dir, test_dir, generated_from)
    cache = Path(cache_dir).expanduser() if cache_dir is not None else None
    images = read_images([file.path for file in layout.files], settings, cache)
    problems = [*layout.problems, *check_records(images.records)]
    group_files = find_group_files(groups, root, layout.folders)
    names, group_problems = assign_groups([file.sample_id for file in layout.files], group_files)
    layout, images, names = _readable(layout, images, names)
    index = build_index(layout.files, images.records, names)
    problems += [*group_problems, *check_index(index.frame, task, settings.resize is not None)]
    benchmark = Benchmark(task, index, ImageStore(images.pixels), layout.classes)
    return Survey(benchmark, layout, tuple(problems))


def _readable(
    layout: Layout, images: Images, groups: list[str]
) -> tuple[Layout, Images, list[str]]:
    """Leave out the files that cannot be read."""
    kept = [row for row, record in enumerate(images.records) if not record.error]
    if len(kept) == len(images.records):
        return layout, images, groups
    files = tuple(layout.files[row] for row in kept)
    records = tuple(images.records[row] for row in kept)
    return (
        replace(layout, files=files),
        Images(images.pixels[kept], records),
        [groups[row] for row in kept],
    )


def _shape(resize: int | Sequence[int] | None) -> tuple[int, int] | None:
    if resize is None:
        return None
    return (resize, resize) if isinstance(resize, int) else _pair(resize, "data.resize")


def _pair(values: Sequence[int], key: str) -> tuple[int, int]:
    if len(values) != 2:
        raise UserError(f"{key}={list(values)}: give two numbers")
    return int(values[0]), int(values[1])
