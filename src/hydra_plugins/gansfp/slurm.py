"""`hydra/launcher=slurm`: arrays of jobs on a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra_plugins.gansfp.base import FrozenLauncher

if TYPE_CHECKING:
    from gansfp.cluster.study import Planned


class SlurmLauncher(FrozenLauncher):
    """Run jobs on a SLURM cluster, and wait for their results.

    Args:
        dirty: Also run code that differs from its commit.
        wait: Wait for the end; else only submit.
        poll: Seconds between two looks at the queue.
        request: The fields of `gansfp.cluster.request.Request`.
    """

    def __init__(
        self, *, dirty: bool = False, wait: bool = True, poll: float = 5.0, **request: Any
    ) -> None:
        super().__init__(dirty=dirty)
        self.wait = wait
        self.poll = poll
        self.request = request

    def run(self, plans: list[Planned]) -> dict[str, Exception]:
        """Submit jobs, and wait for them."""
        from omegaconf import OmegaConf

        from gansfp.cluster.request import Request
        from gansfp.cluster.slurm import run_on_slurm

        plain = OmegaConf.to_container(OmegaConf.create(self.request), resolve=True)
        request = Request(**plain)  # type: ignore[arg-type]
        return dict(run_on_slurm(plans, request, dirty=self.dirty, wait=self.wait, poll=self.poll))
