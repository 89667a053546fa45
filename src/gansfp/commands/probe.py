"""`gansfp probe`: a job that does nothing but what jobs do: start, work, go on, end."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from gansfp.errors import UserError
from gansfp.runtime import settings
from gansfp.runtime.files import read_json, write_json
from gansfp.runtime.progress import write_progress
from gansfp.runtime.run import Run, open_run

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger(__name__)

FAILURES = ("error", "exit", "kill", "memory")
MEGABYTE = 2**20
A_LOT, ENOUGH = 100 * MEGABYTE, 40  # fail=memory takes so much at a time, so often
STATE = "state.json"


def run(config: DictConfig) -> None:
    """Work through the steps, from where an earlier start of the same probe was stopped.

    Each step hashes the one before, so that the last digest tells whether any was left out or done
    twice. Torch is not imported: a probe starts in a fraction of a second.

    Args:
        config: `conf/probe.yaml`, composed and checked.

    Raises:
        UserError: `fail` is none of the ways to fail.
    """
    if config.fail is not None and config.fail not in FAILURES:
        raise UserError(f"fail={config.fail}: must be {', '.join(FAILURES)} or null")
    if settings.in_child_process():
        return
    folder = Run.of(config)
    if folder.result is not None and not config.force:
        log.info("finished before, skipped: %s", folder.folder)
        return
    with open_run(folder, config):
        folder.finish(_work(config, folder))
    log.info("%d cores, GPUs: %s, on %s", cores(), gpus() or "none", platform.node())


def _work(config: DictConfig, run: Run) -> dict[str, object]:
    held = bytearray(int(config.memory) * MEGABYTE)
    stored = read_json(run.folder / STATE) or {"step": 0, "digest": str(config.seed), "starts": 0}
    digest, starts = stored["digest"], stored["starts"] + 1
    began = time.time()
    for step in range(stored["step"] + 1, config.steps + 1):
        time.sleep(config.seconds)
        digest = hashlib.sha256(f"{digest} {step}".encode()).hexdigest()
        write_json(run.folder / STATE, {"step": step, "digest": digest, "starts": starts})
        rate = (step - stored["step"]) / max(time.time() - began, 1e-9)
        write_progress(run.folder, step, config.steps, rate)
        if config.fail is not None and starts == 1 and step == (config.steps + 1) // 2:
            _fail(str(config.fail))
    del held
    return {"digest": digest, "steps": config.steps}


def _fail(how: str) -> NoReturn:
    sys.stderr.write(f"probe: now comes fail={how}\n")
    sys.stderr.flush()
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    taken: list[bytes] = []
    while how == "memory" and len(taken) < ENOUGH:
        taken.append(b"x" * A_LOT)
        time.sleep(0.2)
    raise RuntimeError("fail=error: the probe was told to fail")


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> str:
    """Name the GPUs that the launcher gave."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "")
