"""What a user asks of SLURM for every job: the keys of `hydra/launcher=slurm`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gansfp.cluster import queue
from gansfp.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from gansfp.cluster.resources import Resources


@dataclass(frozen=True)
class Request:
    """What a user asks of SLURM for every job; the keys of `hydra/launcher=slurm`.

    Attributes:
        partition: Partitions, separated by commas; None: the default.
        account: Account to charge.
        qos: Quality of service.
        gres: Instead of `gpu:N`, where a kind of GPU is wanted: "gpu:a100:1".
        constraint: Features of a node.
        cores: Of each process.
        memory: Of each node, as SLURM writes it: "16G".
        time: Time limit in minutes, or as SLURM writes it.
        array_parallelism: Jobs of an array at the same time.
        setup: Lines of shell before the job, such as `module load`.
        environment: Variables of the job.
        flags: Further flags of sbatch: {"exclude": "node7"}.
        signal_seconds: How long before its end SLURM warns a job.
        timeouts: How often a job that has run out of time is queued again.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    gres: str | None = None
    constraint: str | None = None
    cores: int = 2
    memory: str | None = None
    time: Any = 240
    array_parallelism: int = 64
    setup: list[str] = field(default_factory=list)
    environment: Mapping[str, Any] | None = None
    flags: Mapping[str, Any] | None = None
    signal_seconds: int = 90
    timeouts: int = 10

    @property
    def minutes(self) -> int:
        """The time limit.

        Raises:
            UserError: It is none.
        """
        minutes = queue.minutes_of(str(self.time))
        if not minutes:
            raise UserError(f"hydra.launcher.time={self.time}: must be a minute or more")
        return minutes

    def sbatch(self, need: Resources) -> dict[str, Any]:
        """Give the flags of sbatch that say what a job needs."""
        asked = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "gres": (self.gres or f"gpu:{need.gpus}") if need.gpus else None,
            "constraint": self.constraint,
            "nodes": need.nodes,
            "ntasks-per-node": need.tasks,
            "cpus-per-task": self.cores * need.cores,
            "mem": self.memory,
            "time": self.minutes,
        }
        return {key: value for key, value in asked.items() if value is not None} | dict(
            self.flags or {}
        )

    def check(self, needs: Sequence[Resources]) -> None:
        """Refuse, before anything is submitted, what this cluster could never run.

        Raises:
            UserError: Names the key.
        """
        queue.require_tools()
        queue.check_partition(self.partition, self.minutes)
        values: dict[str, object] = {
            key: getattr(self, key)
            for key in ("partition", "account", "qos", "gres", "constraint", "memory", "time")
        }
        for need in needs:
            words = [f"--{key}" if value is True else f"--{key}={value}"
                     for key, value in self.sbatch(need).items()]  # fmt: skip
            queue.check_request(words, values)

    def preamble(self, code: Path) -> list[str]:
        """Give the lines of shell before the job; the user's own come first."""
        own = {
            "OMP_NUM_THREADS": self.cores,
            "HF_HUB_OFFLINE": 1,  # weights were fetched before
            **(self.environment or {}),
        }
        exports = [f"export {key}={shlex.quote(str(value))}" for key, value in own.items()]
        path = f"export PYTHONPATH={shlex.quote(str(code))}${{PYTHONPATH:+:$PYTHONPATH}}"
        return [*self.setup, *exports, path]
