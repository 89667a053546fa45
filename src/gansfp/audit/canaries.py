"""Canaries: images that were marked before training, to see whether the audit finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.evaluation.intervals import clopper_pearson, delong

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.audit.examination import Examination, Findings


def canary_facts(
    examination: Examination, findings: Findings, marked: NDArray[np.bool_]
) -> dict[str, Any]:
    """Count the canaries that were found.

    Args:
        examination: The pool.
        findings: What the set shows.
        marked: Which images of the pool carry a mark, shape (n,): those of `real` are canaries,
            those of the non-members are controls.

    Returns:
        `canaries` and `controls` in units; `called`, the canaries called exposed, with `recall` and
        its exact interval; and, where there are controls, `above_controls`, the canaries that score
        above each of these, and `auroc` of canaries against controls with its interval.
    """
    units = examination.units
    carries = np.zeros(len(units.labels), dtype=bool)
    carries[units.of_image[marked]] = True
    canary, control = carries & (units.labels == 1), carries & (units.labels == 0)
    called = np.zeros(len(units.labels), dtype=bool)
    called[units.labels == 1] = findings.exposure.called
    found = int((called & canary).sum())
    facts: dict[str, Any] = {
        "canaries": int(canary.sum()),
        "controls": int(control.sum()),
        "called": found,
        "recall": _plain(clopper_pearson(found, int(canary.sum()))),
    }
    if control.any():
        score = findings.score
        facts["above_controls"] = int((score[canary] > score[control].max()).sum())
        both = canary | control
        facts["auroc"] = _plain(delong(units.labels[both], score[both]))
    return facts


def _plain(interval: tuple[float, float, float]) -> dict[str, float]:
    return {
        name: round(float(end), 6)
        for name, end in zip(("value", "low", "high"), interval, strict=True)
    }
