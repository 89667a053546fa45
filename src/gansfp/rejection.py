"""Open-set attribution as a decision rule: what no class is likely enough for is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np

from gansfp.decisions import ArgMax, calibrating
from gansfp.errors import UserError
from gansfp.evaluation.openset import UNKNOWN, rejection_threshold
from gansfp.tables import PROBABILITY_PREFIX, table_classes

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class Reject(ArgMax):
    """Take the class of the largest probability, or `unknown` where that is too small.

    The threshold keeps a stated share of held-out images of the known classes; nothing is known of
    the others (Scheirer et al., "Toward open set recognition", TPAMI 2013; the largest probability
    as confidence: Hendrycks and Gimpel, "A baseline for detecting misclassified and
    out-of-distribution examples", ICLR 2017).
    """

    needs_calibration = True

    def __init__(self, kept: float = 0.95, in_sample: bool = False) -> None:
        """Set the rule up.

        Args:
            kept: Share of the held-out images of known classes that is not rejected, at least.
            in_sample: Also take images that the method was fitted on; their probabilities are too
                large, so that more is rejected than stated.

        Raises:
            UserError: The share is none.
        """
        if not 0 < kept <= 1:
            raise UserError(f"decision.kept={kept}: a share of the images, above 0 and at most 1")
        self.kept, self.in_sample = float(kept), in_sample
        self.threshold: float | None = None

    def fit(self, calibration: pd.DataFrame) -> Self:
        """Set the threshold; see `gansfp.evaluation.openset.rejection_threshold`.

        Raises:
            UserError: No labelled image is left, or the table has no probabilities.
        """
        kept = calibrating(calibration, self.in_sample)
        self.threshold = rejection_threshold(_probabilities(kept), self.kept)
        return self

    def decide(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add the class name, or `unknown`, as `decision`.

        Raises:
            UserError: There is no threshold yet, or the table has no probabilities.
        """
        if self.threshold is None:
            raise UserError("decision=reject sets its threshold on held-out images: data.fold=0")
        sure = _probabilities(table).max(axis=1) >= self.threshold
        decided = super().decide(table)
        return decided.assign(decision=decided["decision"].where(sure, UNKNOWN))


def _probabilities(table: pd.DataFrame) -> NDArray[np.float64]:
    classes = table_classes(table)
    if not classes:
        raise UserError("decision=reject needs p_<class> columns; a membership table has none")
    return table[[f"{PROBABILITY_PREFIX}{name}" for name in classes]].to_numpy(np.float64)
