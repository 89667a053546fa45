"""The benchmarks that ship inside the package: a zip a task, unpacked to the cache when used.

A zip holds each distinct file once and a list of where it belongs, since several benchmarks share
one pool of real images. Images are kept as plain grey PNG files: at 64x64 a palette is a quarter of
a file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from PIL import Image

from gansfp.arguments import EMBEDDED
from gansfp.data.decode import decode_image
from gansfp.data.images import default_cache_dir
from gansfp.errors import UserError, suggest

INDEX = "index.csv"


def is_embedded(place: str | Path | None) -> bool:
    """Whether a place names an embedded benchmark, as `embedded:membership/gan`."""
    return str(place or "").startswith(EMBEDDED)


def resolve(place: str | Path | None) -> str | Path | None:
    """Turn `embedded:membership/gan` into the folder that it is unpacked to; leave paths alone.

    Args:
        place: A path, None, or `embedded:<task>/<benchmark>[/<folder>]`.

    Raises:
        UserError: There is no such benchmark; the message names those there are.
    """
    if not is_embedded(place):
        return place
    task, _, rest = str(place).removeprefix(EMBEDDED).partition("/")
    name, _, inner = rest.partition("/")
    packed = shipped()
    if task not in packed:
        raise UserError(f"{place}: no embedded benchmarks of {task!r}{suggest(task, packed)}")
    names = benchmarks(packed[task])
    if name not in names:
        raise UserError(f"{place}: no such benchmark; there are {', '.join(names)}")
    folder = unpack(packed[task], default_cache_dir() / "embedded" / task) / name
    return folder / inner if inner else folder


def shipped() -> dict[str, Path]:
    """Find the zips of the package, by task."""
    folder = Path(str(resources.files("gansfp"))) / "embedded"
    return {path.stem: path for path in sorted(folder.glob("*.zip"))}


def benchmarks(archive: Path) -> list[str]:
    """Name the benchmarks in a zip."""
    return sorted({name for name, _ in _index(archive)})


def pack(folders: Mapping[str, Path], archive: Path) -> None:
    """Write benchmarks into a zip, each distinct file once; equal input gives an equal zip.

    No pixel changes, but PNG files are written anew, as small as they get.

    Args:
        folders: Benchmark folders by the name they get.
        archive: The zip, made anew.
    """
    rows: list[tuple[str, str]] = []
    blobs: dict[str, bytes] = {}
    for name, folder in sorted(folders.items()):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = _compact(path)
            digest = hashlib.blake2b(content, digest_size=12).hexdigest()
            blobs[digest] = content
            rows.append((f"{name}/{path.relative_to(folder).as_posix()}", digest))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr(_entry(INDEX), text.getvalue())
        for digest, content in sorted(blobs.items()):
            bundle.writestr(_entry(digest), content)


def _compact(path: Path) -> bytes:
    if path.suffix != ".png":
        return path.read_bytes()
    buffer = io.BytesIO()
    Image.fromarray(decode_image(path).pixels).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip below `folder`, once for each content; several processes may do so at a time.

    Returns:
        The folder that holds the benchmarks.

    Raises:
        UserError: The folder cannot be written.
    """
    target = folder / hashlib.blake2b(archive.read_bytes(), digest_size=8).hexdigest()
    if target.is_dir():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error}); set XDG_CACHE_HOME") from error
    try:
        _extract(archive, partial)
        partial.chmod(0o755)
        partial.rename(target)
    except OSError as error:
        if not target.is_dir():  # else another process was first
            raise UserError(f"{folder}: cannot unpack {archive.name} ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _extract(archive: Path, folder: Path) -> None:
    first: dict[str, Path] = {}
    with zipfile.ZipFile(archive) as bundle:
        for name, inner, digest in _rows(bundle):
            path = folder / name / inner
            path.parent.mkdir(parents=True, exist_ok=True)
            if digest in first:
                _link(first[digest], path)
            else:
                path.write_bytes(bundle.read(digest))
                first[digest] = path


def _link(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, path)


def _index(archive: Path) -> list[tuple[str, str]]:
    with zipfile.ZipFile(archive) as bundle:
        return [(name, inner) for name, inner, _ in _rows(bundle)]


def _rows(bundle: zipfile.ZipFile) -> list[tuple[str, str, str]]:
    """Read the list: benchmark, path inside it, name of the entry."""
    lines = csv.reader(io.StringIO(bundle.read(INDEX).decode("utf-8")))
    return [(*place.split("/", 1), digest) for place, digest in lines]  # type: ignore[misc]


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry whose date is fixed, so that the zip is a function of its content."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
