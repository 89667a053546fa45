"""What a run was made of: code, versions, hardware, command."""

from __future__ import annotations

import os
import platform
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import gansfp
from gansfp.arguments import PATH_KEYS
from gansfp.runtime.code import running_code

PACKAGES = ("torch", "lightning", "torchvision", "timm", "torchmetrics", "hydra-core", "numpy",
            "scikit-learn", "pandas")  # fmt: skip
SLURM = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT",
         "SLURM_JOB_PARTITION", "SLURM_CLUSTER_NAME", "SLURM_NTASKS")  # fmt: skip


def provenance() -> dict[str, Any]:
    """Describe this process and its machine, as plain JSON values.

    Torch is asked only where it is loaded: a command that does without stays quick.
    """
    code = running_code()
    return {
        "gansfp": gansfp.__version__,
        "commit": code.revision and {"revision": code.revision, "edited": list(code.edited)},
        "command": command_line(),
        "typed": shlex.join(sys.argv),
        "folder": str(Path.cwd()),
        "conf": os.environ.get("GANSFP_CONF"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        **_torch_facts(),
        "slurm": {key: os.environ[key] for key in SLURM if key in os.environ},
    }


def command_line() -> str | None:
    """Write the command that makes this one run, also where a sweep or a launcher made it.

    Returns:
        A line for a shell; None outside a command.
    """
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return None
    hydra = HydraConfig.get()
    words = [_as_typed(str(word)) for word in hydra.overrides.task]
    return shlex.join(["gansfp", str(hydra.job.config_name), *words])


def _as_typed(word: str) -> str:
    """Undo the quoting of a path, which the console script adds again."""
    key, equals, value = word.partition("=")
    if key.lstrip("+") not in PATH_KEYS or not re.fullmatch(r"'.*'", value, re.DOTALL):
        return word
    inner = re.sub(r"(\\*)('|\Z)", _unescaped, value[1:-1])
    return key + equals + re.sub(r"(\\*)\\(\$\{)", _half, inner)


def _unescaped(found: re.Match[str]) -> str:
    backslashes, quote = found.groups()
    return str(backslashes[: len(backslashes) // 2] + quote)


def _half(found: re.Match[str]) -> str:
    backslashes, sign = found.groups()
    return str(backslashes[: len(backslashes) // 2] + sign)


def _processor() -> str | None:
    """Name the processor, as Linux does."""
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return platform.processor() or None
    return found.group(1) if found else None


def _torch_facts() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    cuda = torch.cuda
    return {
        "threads": torch.get_num_threads(),
        "gpus": [cuda.get_device_name(i) for i in range(cuda.device_count())],
        "cuda": torch.version.cuda,
    }


def version(package: str) -> str | None:
    """Read the version of a package; None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
