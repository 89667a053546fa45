"""`hydra/launcher=local`: a pool of processes on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hydra_plugins.gansfp.base import FrozenLauncher

if TYPE_CHECKING:
    from gansfp.cluster.study import Planned


class LocalLauncher(FrozenLauncher):
    """Run jobs in child processes; GPUs and threads are dealt out among them.

    Args:
        workers: Jobs at the same time; None: one for each GPU, or for every two cores.
        threads: Threads of each; None: an equal share of the cores.
        dirty: Also run code that differs from its commit.
    """

    def __init__(
        self, workers: int | None = None, threads: int | None = None, dirty: bool = False
    ) -> None:
        super().__init__(dirty=dirty)
        self.workers = workers
        self.threads = threads

    def run(self, plans: list[Planned]) -> dict[str, Exception]:
        """Run jobs in the pool."""
        from gansfp.cluster import pool, study
        from gansfp.cluster.resources import gpus_asked, processes_asked

        shares = pool.Shares.deal(
            len(plans),
            workers=self.workers,
            threads=self.threads,
            gpus=max(processes_asked(plan.config) for plan in plans if not plan.stage),
            needed=any(gpus_asked(plan.config) for plan in plans if not plan.stage),
        )
        jobs = study.freeze(plans, "local", dirty=self.dirty)
        pool.log.info(
            "%d at a time, %d threads each%s; logs in %s", shares.workers, shares.threads,
            " and a GPU" if any(shares.gpus) else "", jobs[0].folder.parent,
        )  # fmt: skip
        failed = pool.run_pool(jobs, shares)
        return {plans[number].identity: error for number, error in failed.items()}
