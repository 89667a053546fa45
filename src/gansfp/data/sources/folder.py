"""Real images from a folder of picture files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gansfp.data.decode import decode_image
from gansfp.data.groups import assign_groups
from gansfp.data.layout import IMAGE_SUFFIXES, natural_key
from gansfp.data.sources.base import RealImages, Source
from gansfp.errors import UserError

if TYPE_CHECKING:
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
    ) -> None:
        self.path = Path(path).expanduser()
        self.groups = groups
        self.group_regex = group_regex
        self.pattern = pattern or "*"
        self.resize = resize
        self.crop = crop
        self.bits16 = (int(bits16[0]), int(bits16[1]))
        self.limit = limit
        if resize is not None and resize < 1:
            raise UserError(f"source.resize={resize}: must be positive")

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
        shaped, hashes = [pixels for pixels, _ in read], [found for _, found in read]
        _refuse_repeats(self.path, names, hashes)
        self._refuse_mixed_sizes(names, shaped)
        return RealImages(np.stack(shaped), tuple(names), tuple(self._group(names)), tuple(hashes))

    def _files(self) -> list[Path]:
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such folder; source.path names a folder of images")
        found = [
            file
            for file in self.path.rglob(self.pattern)
            if file.suffix.lower() in IMAGE_SUFFIXES
            and file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(self.path).parts)
        ]
        if not found:
            raise UserError(f"{self.path}: no image fits source.pattern={self.pattern}")
        found.sort(key=lambda file: natural_key(file.relative_to(self.path).as_posix()))
        return found[: self.limit]

    def _decode(self, file: Path) -> tuple[NDArray[np.uint8], str]:
        picture = decode_image(file, self.bits16)
        return self._shape(picture.pixels), picture.pixel_hash

    def _shape(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.crop:
            height, width = pixels.shape
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            pixels = pixels[top : top + side, left : left + side]
        if self.resize is None:
            return pixels
        return resize_square(pixels, self.resize)

    def _refuse_mixed_sizes(self, names: list[str], images: list[NDArray[np.uint8]]) -> None:
        for name, image in zip(names, images, strict=True):
            height, width = image.shape
            if height != width:
                raise UserError(
                    f"{self.path / name}: {width} x {height} pixels, not square; source.crop=true "
                    "cuts the middle out"
                )
            if image.shape != images[0].shape:
                raise UserError(
                    f"{self.path / name}: {width} x {height} pixels, but {names[0]} has "
                    f"{images[0].shape[1]} x {images[0].shape[0]}; set source.resize"
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
        return [self._match(name) for name in names]

    def _match(self, name: str) -> str:
        try:
            found = re.search(self.group_regex or "", name)
        except re.error as error:
            raise UserError(f"source.group_regex={self.group_regex}: {error}") from error
        if found is None:
            raise UserError(
                f"{self.path / name}: source.group_regex={self.group_regex} finds no group in it"
            )
        return found.group(1) if found.re.groups and found.group(1) is not None else found.group(0)


def resize_square(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale a square image: mean of the covered area when shrinking, bicubic when growing.

    Args:
        pixels: Grey levels, uint8, shape (H, H).
        side: The new side.

    Returns:
        Grey levels, uint8, shape (side, side).
    """
    height, width = pixels.shape
    if (height, width) == (side, side):
        return pixels
    shrinks = min(height, width) >= side
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((side, side), method))


def _refuse_repeats(folder: Path, names: list[str], hashes: list[str]) -> None:
    """A copy would be a member and a non-member at once."""
    first: dict[str, str] = {}
    for name, pixel_hash in zip(names, hashes, strict=True):
        if pixel_hash in first:
            raise UserError(
                f"{folder / name}: the same image as {first[pixel_hash]}; remove one of them"
            )
        first[pixel_hash] = name
