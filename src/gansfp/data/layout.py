"""ImageCLEF's folders as they come out of the archive: which file is what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gansfp.errors import UserError

Task = Literal["membership", "attribution"]

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".webp"}
)
IGNORED_NAMES = frozenset({"thumbs.db", "desktop.ini", "__macosx", "labels.csv", "groups.csv"})
LABEL_OF_ROLE = {"real_used": "used", "real_not_used": "not_used"}
MEMBERSHIP_ROLES = {
    "train": ("generated", "real_used", "real_not_used"),
    "test": ("generated", "real_unknown"),
}
TEST_ATTRIBUTION_ROLE = "generated_unknown"
SPLITS = ("train", "test")


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image file and what its folder says of it.

    Attributes:
        path: Where it lies.
        split: "train" or "test".
        role: "generated", "real_used", "real_not_used", "real_unknown", "real" or
            "generated_unknown".
        label: "used" or "not_used" (membership), the class (attribution), or None.
    """

    path: Path
    split: str
    role: str
    label: str | None

    @property
    def sample_id(self) -> str:
        """Name of the image in every table: `<split>/<role>[/<class>]/<file name>`."""
        in_class = self.label is not None and self.role not in LABEL_OF_ROLE
        middle = f"{self.role}/{self.label}" if in_class else self.role
        return f"{self.split}/{middle}/{self.path.name}"


@dataclass(frozen=True, slots=True)
class Layout:
    """Every image file of a benchmark, and what is wrong with its folders.

    Attributes:
        files: All images: by split, role and class, each folder in natural order.
        classes: Attribution classes in natural order; empty for membership.
        folders: The train and the test folder.
        problems: One line for each problem that makes the benchmark unusable.
        ignored: Files in image folders that are not images by their name.
    """

    files: tuple[ImageFile, ...]
    classes: tuple[str, ...]
    folders: dict[str, Path]
    problems: tuple[str, ...]
    ignored: tuple[Path, ...]


def natural_key(name: str) -> tuple[object, ...]:
    """Sort key that puts `img_2` before `img_10`; the name itself breaks ties."""
    parts = re.split(r"(\d+)", name.casefold(), flags=re.ASCII)
    numbered = [int(part) if k % 2 else part for k, part in enumerate(parts)]
    return (*numbered, "", name)


def plain_name(name: str) -> str:
    """A folder name without case, spaces, `_` and `-`: `Real not-used` is `real_not_used`."""
    return re.sub(r"[\s_\-]+", "", name).casefold()


def read_layout(
    task: Task,
    root: str | Path | None = None,
    train_dir: str | Path | None = None,
    test_dir: str | Path | None = None,
    generated_from: str | Path | None = None,
) -> Layout:
    """Find every image of a benchmark.

    Args:
        task: "membership" or "attribution".
        root: Holds the train and the test folder.
        train_dir: The train folder, where it does not lie in `root`.
        test_dir: The test folder, where it does not lie in `root`.
        generated_from: Membership: holds the train and test folder whose synthetic images stand in
            for the benchmark's own.

    Returns:
        The files, with every problem of the folders that does not hide others.

    Raises:
        UserError: A folder that everything else hangs on is missing.
    """
    folders = {
        split: split_folder(split, root, given)
        for split, given in zip(SPLITS, (train_dir, test_dir), strict=True)
    }
    reader = _Reader()
    if task == "membership":
        classes: tuple[str, ...] = ()
        for split, roles in MEMBERSHIP_ROLES.items():
            for role in roles:
                swapped = role == "generated" and generated_from is not None
                place = split_folder(split, generated_from, None) if swapped else folders[split]
                folder = _required(place, role, f"data.{split}_dir")
                reader.add(folder, split, role, LABEL_OF_ROLE.get(role))
    elif generated_from is not None:
        raise UserError("data.generated_from: is for task=membership")
    else:
        classes = _read_attribution(reader, folders)
    return Layout(
        tuple(reader.files), classes, folders, tuple(reader.problems), tuple(reader.ignored)
    )


class _Reader:
    """Collects the files and the problems of one folder after the other."""

    def __init__(self) -> None:
        self.files: list[ImageFile] = []
        self.problems: list[str] = []
        self.ignored: list[Path] = []

    def add(self, folder: Path, split: str, role: str, label: str | None) -> None:
        """Take every image that lies directly in `folder`."""
        entries = [entry for entry in folder.iterdir() if not _is_ignored(entry)]
        inner = [entry.name for entry in entries if entry.is_dir()]
        if inner:
            names = ", ".join(sorted(inner, key=natural_key)[:5])
            self.problems.append(
                f"{folder}: holds folders ({names}); put its images directly into it"
            )
        plain = [entry for entry in entries if entry.name not in set(inner)]
        images = [entry for entry in plain if entry.suffix.lower() in IMAGE_SUFFIXES]
        others = [entry for entry in plain if entry.suffix.lower() not in IMAGE_SUFFIXES]
        self.ignored.extend(others)
        if not images and not inner:
            there = f"{len(others)} files that are not images by name" if others else "nothing"
            self.problems.append(f"{folder}: no image in it ({there}); fill or remove it")
        images.sort(key=lambda entry: natural_key(entry.name))
        self.files.extend(ImageFile(entry, split, role, label) for entry in images)


def _is_ignored(entry: Path) -> bool:
    return entry.name.startswith(".") or entry.name.casefold() in IGNORED_NAMES


def subfolders(folder: Path) -> list[Path]:
    """Folders directly in `folder` in natural order, without hidden ones and archive debris."""
    found = [entry for entry in folder.iterdir() if entry.is_dir() and not _is_ignored(entry)]
    return sorted(found, key=lambda entry: natural_key(entry.name))


def _there(folder: Path) -> str:
    names = [entry.name for entry in subfolders(folder)]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"there: {', '.join(names[:8])}{more}" if names else "no folder is there"


def split_folder(split: str, root: str | Path | None, given: str | Path | None) -> Path:
    """Find the train or the test folder of a benchmark.

    Args:
        split: "train" or "test".
        root: Holds both folders.
        given: The folder, where it does not lie in `root`.

    Raises:
        UserError: There is none, or several could be meant.
    """
    key = f"data.{split}_dir"
    if given is not None:
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; set {key} to the {split} folder")
        return folder
    if root is None:
        raise UserError(
            f"data.root is not set: data.root=PATH (holds train/ and test/), or {key}=PATH"
        )
    base = Path(root).expanduser()
    if not base.is_dir():
        raise UserError(f"{base}: no such folder; data.root must hold train/ and test/")
    return _split_in_root(base, split, key)


def _split_in_root(base: Path, split: str, key: str) -> Path:
    """Take `train`, else the one folder whose name says so (`..._training-dataset`)."""
    folders = subfolders(base)
    exact = [folder for folder in folders if plain_name(folder.name) == split]
    pattern = re.compile(rf"{split}(ing)?(set|data|dataset|images)?$")
    similar = [folder for folder in folders if pattern.search(plain_name(folder.name))]
    matches = exact or similar
    if len(matches) == 1:
        return matches[0]
    found = ", ".join(folder.name for folder in matches)
    why = (
        f"several {split} folders ({found})" if matches else f"no {split}/ folder ({_there(base)})"
    )
    raise UserError(f"{base}: {why}; name it with {key}=PATH")


def _find(folder: Path, name: str) -> Path | None:
    wanted = plain_name(name)
    matches = [entry for entry in subfolders(folder) if plain_name(entry.name) == wanted]
    if len(matches) > 1:
        names = ", ".join(entry.name for entry in matches)
        raise UserError(f"{folder}: several folders mean {name} ({names}); keep one")
    return matches[0] if matches else None


def _required(folder: Path, name: str, key: str) -> Path:
    found = _find(folder, name)
    if found is None:
        raise UserError(
            f"{folder}: no {name}/ folder ({_there(folder)}); set {key} to where it lies"
        )
    return found


def _read_attribution(reader: _Reader, folders: dict[str, Path]) -> tuple[str, ...]:
    train = folders["train"]
    generated = _class_folders(_required(train, "generated", "data.train_dir"))
    real_folder = _find(train, "real")
    real = _class_folders(real_folder) if real_folder is not None else {}
    if real and set(real) != set(generated):
        odd = ", ".join(sorted(set(real) ^ set(generated), key=natural_key))
        raise UserError(f"{train}: class {odd} lacks generated/ or real/; add or remove it")
    # The class is spelled as the real folder spells it, without a `gen_` in front.
    spelled = {key: _class_name((real or generated)[key].name) for key in generated}
    order = sorted(generated, key=lambda key: natural_key(spelled[key]))
    for key in order:
        reader.add(generated[key], "train", "generated", spelled[key])
    for key in order:
        if real:
            reader.add(real[key], "train", "real", spelled[key])
    reader.add(_unknown_folder(folders["test"]), "test", TEST_ATTRIBUTION_ROLE, None)
    return tuple(spelled[key] for key in order)


def _unknown_folder(test: Path) -> Path:
    """`test/generated_unknown`, or the test folder itself where it is that folder."""
    if _find(test, TEST_ATTRIBUTION_ROLE) is None and plain_name(test.name) == plain_name(
        TEST_ATTRIBUTION_ROLE
    ):
        return test
    return _required(test, TEST_ATTRIBUTION_ROLE, "data.test_dir")


def _class_name(folder_name: str) -> str:
    return re.sub(r"^gen(erated)?[\s_\-]+", "", folder_name, flags=re.IGNORECASE)


def _class_folders(folder: Path) -> dict[str, Path]:
    """Class folders by the plain name of their class."""
    found: dict[str, Path] = {}
    for entry in subfolders(folder):
        key = plain_name(_class_name(entry.name))
        if key in found:
            raise UserError(f"{folder}: {found[key].name} and {entry.name} are one class; keep one")
        found[key] = entry
    if len(found) < 2:
        raise UserError(f"{folder}: needs at least two class folders ({_there(folder)})")
    return found
