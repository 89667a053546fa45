"""Metrics that Lightning logs: whole-table versions of the functional core, one clone a stage.

Scores are gathered first and ranked once. torchmetrics' own ranking metrics squash a batch with a
sigmoid when it holds a score outside [0, 1], so that their result depends on scale and batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import torch
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from gansfp.decisions import best_kappa_threshold
from gansfp.evaluation.metrics import (
    attribution_metrics,
    membership_metrics,
    ranking_metrics,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor


class TableMetric(Metric):
    """Common part: named results with a stage prefix."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    def __init__(self, prefix: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prefix = prefix

    def for_stage(self, prefix: str) -> Self:
        """Clone the metric, empty, for a stage.

        Args:
            prefix: Put before every name: "val/".
        """
        copy: Self = self.clone()  # type: ignore[assignment]
        copy.reset()
        copy.prefix = prefix
        return copy

    def _named(self, values: dict[str, Any]) -> dict[str, Tensor]:
        return {
            f"{self.prefix}{name}": torch.tensor(value, dtype=torch.float32, device=self.device)
            for name, value in values.items()
            if isinstance(value, float)
        }


class MembershipMetrics(TableMetric):
    """Kappa and its company over all images of a stage.

    Args:
        threshold: Used where `score >= threshold`; None leaves the thresholded metrics out. "best"
            cuts at the best kappa on these very images, as the decision rule `best_kappa` does with
            labelled ones: an optimistic kappa.
        prefix: Put before every name.
        kwargs: Arguments of `torchmetrics.Metric`.
    """

    score: list[Tensor]
    truth: list[Tensor]

    def __init__(
        self, threshold: float | Literal["best"] | None = 0.5, prefix: str = "", **kwargs: Any
    ) -> None:
        super().__init__(prefix, **kwargs)
        self.threshold = threshold
        self.add_state("score", [], dist_reduce_fx="cat")
        self.add_state("truth", [], dist_reduce_fx="cat")

    def update(self, score: Tensor, truth: Tensor) -> None:
        """Add a batch.

        Args:
            score: Higher means used, any scale; shape (B,).
            truth: 1 = used, 0 = not used; shape (B,).
        """
        score = score.detach().reshape(-1)
        # Half precision ties scores that differ, and numpy has no bfloat16.
        self.score.append(score if score.dtype == torch.float64 else score.float())
        self.truth.append(truth.detach().reshape(-1).long())

    def compute(self) -> dict[str, Tensor]:
        """Compute `kappa accuracy precision recall f1 specificity` and the ranking metrics."""
        score, truth = _array(self.score), _array(self.truth)
        if self.threshold is None:
            return self._named(ranking_metrics(truth, score))
        cut = best_kappa_threshold(score, truth) if self.threshold == "best" else self.threshold
        decision = (score >= cut).astype(np.int64)
        return self._named(membership_metrics(truth, decision, score))


class AttributionMetrics(TableMetric):
    """Accuracy and its company over all images of a stage.

    Args:
        classes: Class names, in the order of the outputs.
        prefix: Put before every name.
        kwargs: Arguments of `torchmetrics.Metric`.
    """

    decision: list[Tensor]
    truth: list[Tensor]

    def __init__(self, classes: Sequence[str], prefix: str = "", **kwargs: Any) -> None:
        super().__init__(prefix, **kwargs)
        self.classes = tuple(classes)
        self.add_state("decision", [], dist_reduce_fx="cat")
        self.add_state("truth", [], dist_reduce_fx="cat")

    def update(self, output: Tensor, truth: Tensor) -> None:
        """Add a batch.

        Args:
            output: Logits or probabilities, shape (B, K), or class positions, shape (B,).
            truth: Class positions, shape (B,).
        """
        decision = output.detach().argmax(dim=1) if output.ndim > 1 else output.detach()
        self.decision.append(decision.long())
        self.truth.append(truth.detach().reshape(-1).long())

    def compute(self) -> dict[str, Tensor]:
        """Compute accuracy, and weighted and macro precision, recall, F1 and specificity."""
        names = np.asarray(self.classes, dtype=object)
        truth, decision = names[_array(self.truth)], names[_array(self.decision)]
        return self._named(attribution_metrics(truth, decision, self.classes))


def task_metrics(task: str, classes: Sequence[str]) -> TableMetric:
    """Choose the metrics of labelled images for a task."""
    return MembershipMetrics("best") if task == "membership" else AttributionMetrics(classes)


def _array(state: list[Tensor] | Tensor) -> NDArray[Any]:
    """Join a state: a list of batches, or the tensor that a sync across processes leaves."""
    return np.asarray(dim_zero_cat(state).cpu().numpy())
