"""Real images from a folder of picture files."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from gansfp.data.decode import decode_image
from gansfp.data.groups import assign_groups
from gansfp.data.layout import IMAGE_SUFFIXES
from gansfp.data.sources.base import RealImages, Source
from gansfp.data.sources.files import list_files
from gansfp.data.sources.shaping import Shape, find_group, first_copies, stack
from gansfp.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class FolderSource(Source):
    """All pictures below a folder, in natural order of their relative paths.

    Args:
        path: The folder; subfolders are read too.
        groups: A csv file of file and group (patient). None: `groups.csv` in the folder if there
            is one.
        group_regex: Where no csv is: a regular expression that finds the group in a file's
            relative path; its first bracketed part counts, or the whole match.
        pattern: Only files whose name fits this shell pattern, such as `*_axial.png`.
        resize: Side in pixels of the square images wanted; None keeps the files' size.
        crop: Cut the middle square out of images that are not square.
        bits16: The grey levels of 16-bit files that become 0 and 255.
        limit: Take only so many images, the first ones.
        keep_copies: Take images that repeat each other, as a generator's may, instead of refusing
            them.
    """

    def __init__(
        self,
        path: str,
        groups: str | None = None,
        group_regex: str | None = None,
        pattern: str | None = None,
        resize: int | None = None,
        crop: bool = False,
        bits16: Sequence[int] = (0, 65535),
        limit: int | None = None,
        keep_copies: bool = False,
    ) -> None:
        self.path = Path(path).expanduser()
        self.groups = groups
        self.group_regex = group_regex
        self.pattern = pattern or "*"
        self.shape = Shape(resize, crop)
        self.bits16 = (int(bits16[0]), int(bits16[1]))
        self.limit = limit
        self.keep_copies = keep_copies

    def read(self) -> RealImages:
        """Read the folder.

        Raises:
            UserError: The folder is missing or empty, an image is unreadable or repeated, sizes
                are mixed, or the groups do not fit.
        """
        files = self._files()
        names = [file.relative_to(self.path).as_posix() for file in files]
        with ThreadPoolExecutor() as pool:  # Pillow's decoders let go of the interpreter lock
            read = list(pool.map(self._decode, files))
        images, hashes = [pixels for pixels, _ in read], [found for _, found in read]
        if not self.keep_copies:
            self._refuse_copies(names, hashes)
        pixels = stack(images, files)
        return RealImages(pixels, tuple(names), tuple(self._group(names)), tuple(hashes))

    def _files(self) -> list[Path]:
        found = [
            file
            for file in list_files(self.path, self.pattern)
            if file.suffix.lower() in IMAGE_SUFFIXES
        ]
        if not found:
            raise UserError(f"{self.path}: no image fits source.pattern={self.pattern}")
        return found[: self.limit]

    def _decode(self, file: Path) -> tuple[NDArray[np.uint8], str]:
        picture = decode_image(file, self.bits16)
        return self.shape.apply(picture.pixels, file), picture.pixel_hash

    def _refuse_copies(self, names: list[str], hashes: list[str]) -> None:
        """A copy would be a member and a non-member at once."""
        for k, first in enumerate(first_copies(hashes)):
            if first != k:
                raise UserError(
                    f"{self.path / names[k]}: the same image as {names[first]}; remove one of them"
                )

    def _group(self, names: list[str]) -> list[str]:
        table = Path(self.groups).expanduser() if self.groups else self.path / "groups.csv"
        if self.groups and not table.is_file():
            raise UserError(f"{table}: no such file; source.groups names a csv of file and group")
        if table.is_file():
            groups, problems = assign_groups(names, [(table, None)])
            if problems:
                raise UserError(problems[0])
            return groups
        if self.group_regex is None:
            return list(names)
        return [find_group(self.group_regex, name) for name in names]
