"""The decision rule that bounds the share of wrong accusations: conformal p-values, then FDR."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Self

import numpy as np

from gansfp.decisions import SCORE, calibrating
from gansfp.errors import UserError
from gansfp.evaluation.conformal import discover, fewest_calls

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

log = logging.getLogger(__name__)


class ConformalFdr:
    """Call "used" at false discovery rate `q`, by patient where the table names patients.

    Labelled images that were not used, and that the method was not fitted on, calibrate; see
    `gansfp.evaluation.conformal` for what is guaranteed. A sign of the score that labels reversed
    against theory was fitted on them: the guarantee is then approximate.

    The rule has no threshold: how low a p-value must be depends on all candidates together, which
    also makes it transductive.
    """

    needs_calibration = True
    transductive = True
    threshold: float | None = None

    def __init__(self, q: float = 0.05) -> None:
        """Set the rule up.

        Args:
            q: Expected share of wrong calls among the calls, at most.

        Raises:
            UserError: `q` is not between 0 and 1.
        """
        if not 0.0 < q < 1.0:
            raise UserError(f"decision.q={q}: a false discovery rate lies between 0 and 1")
        self.q = float(q)
        self._known: pd.DataFrame | None = None

    def fit(self, calibration: pd.DataFrame) -> Self:
        """Keep the scores of known non-members; patients with a used image are left out.

        Raises:
            UserError: No labelled image out of sample is left, or none that was not used.
        """
        kept = calibrating(calibration, in_sample=False)
        used = kept["label"].to_numpy() == 1
        groups = _groups(kept)
        known = ~used if groups is None else ~np.isin(groups, groups[used])
        if not known.any():
            raise UserError(
                f"decision=conformal needs labelled images that were not used, and none of the "
                f"{len(kept)} held out is: take decision=median, or label some"
            )
        self._known = kept[known]
        return self

    def decide(self, table: pd.DataFrame) -> pd.DataFrame:
        """Decide "used" (1) where the false discovery rate allows it.

        Known non-members among the table's images count themselves, so that they are called less
        often than others.

        Raises:
            UserError: `fit` came not first.
        """
        if self._known is None:
            raise UserError("decision=conformal was not fitted: it needs labelled images")
        found = discover(
            table[SCORE].to_numpy(np.float64),
            self._known[SCORE].to_numpy(np.float64),
            self.q,
            _groups(table),
            _groups(self._known),
        )
        log.info(
            "conformal: %d of %d images called used at false discovery rate %g; with %d known "
            "non-members it calls at least %d of %d candidates, or none",
            found.called.sum(),
            len(table),
            self.q,
            found.known,
            fewest_calls(found.units, found.known, self.q),
            found.units,
        )
        return table.assign(decision=found.called.astype(np.int64))


def _groups(table: pd.DataFrame) -> NDArray[np.str_] | None:
    return table["group"].to_numpy().astype(str) if "group" in table else None
