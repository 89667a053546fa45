"""What both launchers do: compose, freeze, run what is missing, read the results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, configure_log
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from gansfp.errors import UserError
from gansfp.jobs import Jobs

if TYPE_CHECKING:
    from gansfp.cluster.study import Planned


class FrozenLauncher(Launcher):
    """Run the jobs of a sweep elsewhere, each from its own frozen configuration and code.

    Args:
        dirty: Also run code that differs from its commit.
    """

    def __init__(self, *, dirty: bool) -> None:
        self.dirty = dirty

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Take what Hydra hands over."""
        self._hydra_context = hydra_context
        self._config = config
        self._record: Any = getattr(task_function, "__self__", None)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run the jobs that have no result yet; each piece of work once.

        Returns:
            The objective of each job.

        Raises:
            UserError: A configuration, or what is asked of the launcher, is at fault; then no job
                has started.
        """
        from gansfp.cluster import study
        from gansfp.cluster.staging import attributed, in_stages

        configure_log(self._config.hydra.job_logging, self._config.hydra.verbose)
        if not isinstance(self._record, Jobs):
            raise UserError("hydra/launcher: this one runs the commands of gansfp alone")
        plans = study.compose(self._hydra_context, self._config, job_overrides, initial_job_idx)
        missing = {plan.identity: plan for plan in plans if not plan.finished}
        study.log.info("%d jobs, %d of them to run", len(plans), len(missing))
        jobs = in_stages(list(missing.values()))
        if len(jobs) > len(missing):
            study.log.info("with the members and the rounds of ensembles: %d jobs", len(jobs))
        failures = self.run(jobs) if jobs else {}
        return study.conclude(self._record, plans, attributed(failures, jobs))

    @abstractmethod
    def run(self, plans: list[Planned]) -> dict[str, Exception]:
        """Run jobs until none goes on; say why some have no result, by identity."""
