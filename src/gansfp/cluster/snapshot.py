"""The code of a launch, copied once: a waiting job never reads a file that is edited meanwhile."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from dataclasses import asdict
from pathlib import Path

import gansfp
from gansfp.errors import UserError
from gansfp.runtime.code import SNAPSHOT, describe
from gansfp.runtime.files import write_json

SHOWN = 3  # edited files named in the refusal


def take_snapshot(into: Path, *, dirty: bool) -> Path:
    """Copy the package and its configurations, unless this very code was copied before.

    Args:
        into: Folder that holds the copies, one for each state of the code.
        dirty: Also take code that differs from its commit.

    Returns:
        The folder to put first on PYTHONPATH.

    Raises:
        UserError: The checkout was edited since its last commit, and `dirty` is false.
    """
    package = Path(gansfp.__file__).resolve().parent
    checkout = package.parents[1]
    code = describe(checkout)
    if code.edited and not dirty:
        raise UserError(
            f"{checkout}: {_named(code.edited)}: not committed, so the runs could not be made "
            "again; commit, or hydra.launcher.dirty=true"
        )
    sources = _sources(package, checkout)
    target = into / _digest(sources)
    if not target.exists():
        partial = into / f".{target.name}.{uuid.uuid4().hex}"
        for name, file in sources.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, partial / name)
        write_json(partial / SNAPSHOT, asdict(code))
        try:
            partial.rename(target)
        except OSError:  # another launch was as quick, with the same files
            shutil.rmtree(partial)
    return (target / "src").absolute()


def _named(files: tuple[str, ...]) -> str:
    rest = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    return ", ".join(files[:SHOWN]) + rest


def _sources(package: Path, checkout: Path) -> dict[str, Path]:
    """List the files to copy by their place in the copy; an installed wheel looks the same."""
    folders = {"src/gansfp": package, "src/hydra_plugins/gansfp": package.parent / "hydra_plugins"
               / "gansfp"}  # fmt: skip
    if not (package / "conf").is_dir():
        folders["conf"] = checkout / "conf"
    return {
        f"{name}/{file.relative_to(folder).as_posix()}": file
        for name, folder in folders.items()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def _digest(sources: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, file in sources.items():
        digest.update(f"{name}\0".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]
