"""What a job needs, read from its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gansfp.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig


@dataclass(frozen=True)
class Resources:
    """Processes and GPUs of a job; jobs with the same go into one array.

    Attributes:
        nodes: Machines.
        tasks: Processes that SLURM starts on each; they form one distributed fit.
        cores: Multiples of the cores that a task gets: spawned processes share their parent's.
        gpus: GPUs on each machine.
    """

    nodes: int
    tasks: int
    cores: int
    gpus: int


VOTE = Resources(nodes=1, tasks=1, cores=1, gpus=0)
"""Votes are counted from tables, on whatever machine."""


def resources(config: DictConfig) -> Resources:
    """Read what a job needs.

    `trainer.devices` sets processes and GPUs alike, so that the two never differ.

    Raises:
        UserError: `trainer.devices` is no whole number.
    """
    devices = processes_asked(config)
    spawned = "spawn" in str(_trainer(config).get("strategy"))
    return Resources(
        nodes=int(_trainer(config).get("num_nodes") or 1),
        tasks=1 if spawned else devices,
        cores=devices if spawned else 1,
        gpus=devices if gpus_asked(config) else 0,
    )


def gpus_asked(config: DictConfig) -> bool:
    """A GPU is asked for if and only if the trainer names one; `auto` takes what there is."""
    return _trainer(config).get("accelerator") in ("gpu", "cuda")


def processes_asked(config: DictConfig) -> int:
    """Count the processes of a job on each machine.

    Raises:
        UserError: `trainer.devices` is no whole number, or a forge would be started as several
            processes: it goes on alone after each fit, on one node.
    """
    devices = _trainer(config).get("devices", 1)
    if not isinstance(devices, int) or devices < 1:
        raise UserError(
            f"trainer.devices={devices}: with a launcher it must be a whole number, the processes "
            "(and GPUs) of a job"
        )
    nodes = int(_trainer(config).get("num_nodes") or 1)
    alone = devices * nodes == 1 or (
        nodes == 1 and "spawn" in str(_trainer(config).get("strategy"))
    )
    if config.get("command") == "forge" and not alone:
        raise UserError(
            f"trainer.devices={devices} trainer.num_nodes={nodes}: a forge spawns its processes on "
            "one node, trainer=ddp_spawn; several nodes share one as worker=0,1,..."
        )
    return devices


def _trainer(config: DictConfig) -> Any:
    return config.get("trainer") or {}
