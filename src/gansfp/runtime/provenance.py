"""What a run was made of: versions, commit, hardware, command."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import gansfp

PACKAGES = ("torch", "lightning", "torchvision", "timm", "torchmetrics", "hydra-core", "numpy",
            "scikit-learn", "pandas")  # fmt: skip


def provenance() -> dict[str, Any]:
    """Describe this process and its machine, as plain JSON values."""
    return {
        "gansfp": gansfp.__version__,
        "commit": _commit(),
        "command": shlex.join(sys.argv),
        "folder": str(Path.cwd()),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "host": platform.node(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "slurm": {
            k: v for k, v in os.environ.items() if k in {"SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID"}
        },
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Any] | None:
    """Name the commit of the code, and whether it was edited since; None outside a checkout."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return None
    try:
        revision = _git(root, "rev-parse", "HEAD")
        return {"revision": revision, "edited": bool(_git(root, "status", "--porcelain", "-uno"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()
