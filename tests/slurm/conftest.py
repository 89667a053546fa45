"""One SLURM for all tests of this folder, and the console script in processes of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy import write_toy_membership

HERE = Path(__file__).parent
LAUNCHER = ["hydra/launcher=slurm", "hydra.launcher.dirty=true", "hydra.launcher.cores=1",
            "hydra.launcher.poll=0.5", "hydra.launcher.partition=debug"]  # fmt: skip


def _cluster_module() -> Any:
    spec = importlib.util.spec_from_file_location("slurm_cluster", HERE / "cluster.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session", autouse=True)
def cluster() -> Iterator[Path]:
    module = _cluster_module()
    reason = module.why_not()
    if reason:
        pytest.skip(reason)
    module.install()
    root = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # a socket's path must be short
    running = module.Cluster(root)
    running.start()
    try:
        yield root
    finally:
        running.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "membership"
    write_toy_membership(folder)
    return folder


class Console:
    """`gansfp` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "gansfp", *words], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"COLUMNS": "200"},
        )  # fmt: skip

    def __call__(self, *words: str, status: int = 0) -> str:
        return finished(self.start(*words), status)

    def sweep(self, *words: str, status: int = 0) -> str:
        """Run a sweep on the test SLURM."""
        command, *rest = words
        return self(command, "-m", *LAUNCHER, *rest, status=status)

    def json(self, pattern: str) -> Any:
        (found,) = self.folder.glob(pattern)
        return json.loads(found.read_text())

    def jsons(self, pattern: str) -> list[Any]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob(pattern))]


def finished(process: subprocess.Popen[str], status: int = 0, seconds: float = 240) -> str:
    said, _ = process.communicate(timeout=seconds)
    assert process.returncode == status, said[-4000:]
    return said


@pytest.fixture
def gansfp(tmp_path: Path) -> Console:
    return Console(tmp_path)


def until(ready: Callable[[], Any], seconds: float = 90) -> Any:
    """Wait for something; give it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError, IndexError):
            found = ready()
            if found:
                return found
        time.sleep(0.1)
    raise AssertionError("it did not come")


def slurm(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()
