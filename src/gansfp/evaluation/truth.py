"""The truth of the test images: read here, for evaluation and leaderboards alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gansfp.errors import UserError
from gansfp.evaluation.idfile import image_key, natural_order, read_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MEMBERSHIP_LABELS = {"0": "0", "1": "1", "not_used": "0", "not used": "0", "used": "1"}


@dataclass(frozen=True)
class Truth:
    """Labels of test images.

    Attributes:
        path: Where they were read.
        names: Image ids as written, in file order.
        labels: "0"/"1" for membership, class names for attribution, a name each.
    """

    path: Path
    names: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels that occur, in natural order."""
        return tuple(natural_order(set(self.labels)))

    def of(self, names: Iterable[str]) -> list[str]:
        """Look images up, with or without folder and extension in their names.

        Raises:
            UserError: An image has no label, a label has no image, or two images share a name.
        """
        by_key = {
            image_key(name): label for name, label in zip(self.names, self.labels, strict=True)
        }
        keys = [image_key(name) for name in names]
        if len(set(keys)) != len(keys):
            raise UserError(f"{self.path}: two test images differ only in folder or extension")
        missing = [key for key in keys if key not in by_key]
        if missing:
            raise UserError(
                f"{self.path}: {len(missing)} images have no label, the first is {missing[0]}; "
                "add them"
            )
        unknown = sorted(set(by_key) - set(keys))
        if unknown:
            raise UserError(
                f"{self.path}: {len(unknown)} labels have no image, the first is {unknown[0]}; "
                "remove them"
            )
        return [by_key[key] for key in keys]


def read_truth(path: Path, task: str, classes: Sequence[str] | None = None) -> Truth:
    """Read a truth file: two columns, with or without a header.

    Args:
        path: The file.
        task: "membership" (labels 0/1 or not_used/used) or "attribution" (class names; `gen_t1` is
            `t1`).
        classes: Allowed attribution classes; None: any.

    Raises:
        UserError: The file is missing, empty or malformed, or a label is unknown; names the line.
    """
    entries = read_entries(path, "truth")
    labels = []
    for entry in entries:
        label = canonical_label(entry.label, task)
        if label is None or (task == "attribution" and classes and label not in classes):
            allowed = "0, 1, not_used, used" if label is None else ", ".join(classes or ())
            raise UserError(
                f"{path}, line {entry.line}: unknown label {entry.label!r}; "
                f"expected one of {allowed}"
            )
        labels.append(label)
    return Truth(path, tuple(entry.name for entry in entries), tuple(labels))


def canonical_label(label: str, task: str) -> str | None:
    """Return "0"/"1", or the class without its `gen_` prefix; None for an unknown label."""
    if task == "membership":
        return MEMBERSHIP_LABELS.get(label.lower())
    return label.removeprefix("gen_")
