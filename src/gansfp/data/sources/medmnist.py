"""The CT sets of MedMNIST v2."""

from __future__ import annotations

import hashlib
import logging
import shutil
import urllib.request
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gansfp.data.decode import Picture
from gansfp.data.sources.base import RealImages, Source
from gansfp.data.sources.shaping import Shape, first_copies, stack
from gansfp.errors import UserError, suggest

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
URL = "https://zenodo.org/records/10519652/files/{file}?download=1"
# MD5 by name and side, as in medmnist 3.0.2 (info.py). The package itself would bring
# scikit-image and make ~/.medmnist on import; a table is all that is needed of it.
MD5 = {
    ("organamnist", 28): "68e3f8846a6bd62f0c9bf841c0d9eacc",
    ("organamnist", 64): "2dcccc29b88e6da5a01161ef20cda288",
    ("organamnist", 128): "eeae80d0a227a8d099027e1b3cfd3b60",
    ("organamnist", 224): "50747347e05c87dd3aaf92c49f9f3170",
    ("organcmnist", 28): "b9ceb9546e10131b32923c5bbeaea2b1",
    ("organcmnist", 64): "3ce34a8724ea6f548e6db4744d03b6a9",
    ("organcmnist", 128): "773c1f009daa3fe5d9a2a201b2a7ed94",
    ("organcmnist", 224): "050f5e875dc056f6768abf94ec9995d1",
    ("organsmnist", 28): "9ab87b696fb54e2a387ebe992d6ed5f1",
    ("organsmnist", 64): "53a6d115339d874c25e309a994ff46d3",
    ("organsmnist", 128): "ded0c5fa01a95dc4978b956f613e9b8e",
    ("organsmnist", 224): "b354719e553fbbb2513d5533f52a4cb1",
}


class MedMNISTSource(Source):
    """Slices of organs from OrganAMNIST, OrganCMNIST or OrganSMNIST (Yang et al., 2023).

    They are windowed CT crops from the 201 scans of LiTS. Patients are not told, so each image is
    its own group, and slices of one scan fall on both sides of a membership benchmark. Only the
    official splits are of different scans (train and val apart from test). Repeated images are left
    out, with a count.

    Args:
        path: An .npz file. None: the file of `name` and `size` in `root`.
        name: `organamnist`, `organcmnist` or `organsmnist`.
        size: Side of the images in the file: 28, 64, 128 or 224.
        root: Where files are kept.
        download: Fetch a file that is not in `root`.
        splits: The official splits to take, of train, val and test.
        resize: Side in pixels of the images wanted; None keeps the file's.
        limit: Take only so many images, the first ones.
    """

    def __init__(
        self,
        path: str | None = None,
        name: str = "organamnist",
        size: int = 64,
        root: str = "~/.cache/gansfp/medmnist",
        download: bool = False,
        splits: Sequence[str] = SPLITS,
        resize: int | None = None,
        limit: int | None = None,
    ) -> None:
        names = sorted({known for known, _ in MD5})
        if path is None and name not in names:
            raise UserError(f"source.name={name}: choose {', '.join(names)}{suggest(name, names)}")
        if path is None and (name, size) not in MD5:
            raise UserError(f"source.size={size}: choose 28, 64, 128 or 224")
        odd = [split for split in splits if split not in SPLITS]
        if odd or not splits:
            raise UserError(f"source.splits={list(splits)}: choose from {', '.join(SPLITS)}")
        self.path = Path(path).expanduser() if path is not None else None
        self.name, self.size = name, size
        self.root = Path(root).expanduser()
        self.download = download
        self.splits = tuple(dict.fromkeys(splits))
        self.shape = Shape(resize)
        self.limit = limit

    def read(self) -> RealImages:
        """Read the file.

        Raises:
            UserError: It is missing, cannot be fetched, or is not a set of grey images.
        """
        file = self.path or self._kept_file()
        images: list[NDArray[np.uint8]] = []
        names: list[str] = []
        hashes: list[str] = []
        for split in self.splits:
            for k, pixels in enumerate(_read_split(file, split)):
                names.append(f"{file.stem}/{split}_{k}")
                hashes.append(Picture(pixels, "L").pixel_hash)
                images.append(self.shape.apply(pixels, names[-1]))
        kept = [k for k, first in enumerate(first_copies(hashes)) if first == k]
        if len(kept) < len(names):
            log.warning("%s: %d repeated images left out", file, len(names) - len(kept))
        kept = kept[: self.limit]
        chosen = tuple(names[k] for k in kept)
        pixels = stack([images[k] for k in kept], chosen)
        return RealImages(pixels, chosen, chosen, tuple(hashes[k] for k in kept))

    def _kept_file(self) -> Path:
        suffix = "" if self.size == 28 else f"_{self.size}"
        file = self.root / f"{self.name}{suffix}.npz"
        if file.is_file():
            return file
        if not self.download:
            raise UserError(
                f"{file}: not there; source.download=true fetches it, source.path=FILE names "
                "another"
            )
        fetch(URL.format(file=file.name), file, MD5[self.name, self.size])
        return file


def fetch(url: str, file: Path, md5: str) -> None:
    """Download a file; it appears at its place only once it is whole.

    Raises:
        UserError: There is no network, or what came is not the file.
    """
    partial = file.with_name(f".{file.name}.partial")
    log.info("fetching %s", url)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with urllib.request.urlopen(url, timeout=30) as stream, partial.open("wb") as target:
            shutil.copyfileobj(stream, target)
        with partial.open("rb") as content:
            found = hashlib.file_digest(content, "md5").hexdigest()
        if found != md5:
            raise UserError(f"{url}: came damaged (MD5 {found}, not {md5}); try again")
        partial.replace(file)
    except OSError as error:  # URLError and timeouts are among them
        reason = getattr(error, "reason", None) or error.strerror or error
        raise UserError(
            f"{url}: cannot be fetched ({reason}); fetch it elsewhere and set source.path=FILE"
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _read_split(file: Path, split: str) -> NDArray[np.uint8]:
    """Read the images of a split, uint8, shape (N, S, S)."""
    key = f"{split}_images"
    try:
        with np.load(file, allow_pickle=False) as content:
            if key not in content:
                raise UserError(f"{file}: holds no {key}; is it a MedMNIST file?")
            images: NDArray[np.uint8] = content[key]
    except FileNotFoundError as error:
        raise UserError(f"{file}: no such file; source.path names an .npz file") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise UserError(f"{file}: not a readable .npz file ({error}); fetch it again") from error
    if images.dtype != np.uint8 or images.ndim != 3:
        raise UserError(
            f"{file}: {key} is {images.dtype} {images.shape}; only 2D sets of grey images can be "
            "read"
        )
    return images
