"""The layout of `result.json`, and its translation to plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from gansfp.errors import UserError

OFFICIAL = {"membership": "kappa", "attribution": "accuracy"}

Measured = list[float | None]
"""Value, low and high end of the 95 % interval; None where not defined."""


class Control(TypedDict):
    """An experiment whose outcome must be chance if the result is to be believed.

    Attributes:
        value: Outcome.
        low: Low end of its interval, at the level that all controls together keep 95 %.
        high: High end.
        chance: What the outcome is where nothing leaks.
        passed: The interval holds `chance`.
        what: The experiment in one sentence.
    """

    value: float
    low: float
    high: float
    chance: float
    passed: bool
    what: str


class Measurement(TypedDict):
    """Metrics of one set of images.

    Attributes:
        n: Number of images (or of patients).
        metrics: Value and interval by metric name.
        chance: p-value by metric name, two-sided for membership.
        confusion: `tp fp fn tn`, or `confusion[true class][decided class]`.
        in_sample: The method was fitted on some of the images (validation only).
    """

    n: int
    metrics: dict[str, Measured]
    chance: dict[str, float]
    confusion: dict[str, Any]
    in_sample: NotRequired[bool]


class Result(TypedDict):
    """Everything in `result.json`.

    Attributes:
        task: "membership" or "attribution".
        official: Name of the official metric: kappa or accuracy.
        unit: "patient" where groups are known: then intervals, chance tests and controls draw and
            permute whole patients; else "image".
        test: The unknown images; None where no truth is at hand.
        patients: The test patients, scores averaged; where groups are known and some patient has
            several images. Patients whose images differ in truth are left out.
        validation: Labelled images that were held out; None where there are none. The threshold was
            picked on them, so that their kappa is optimistic.
        controls: Control by name.
        valid: All controls passed; None where none was run.
        invalid_reason: What the failed controls say; None where none failed.
        transductive: A test decision depends on other unlabelled test images.
        threshold: The cut of the decision rule; None where it has none.
        orientation: The sentence that says how the sign of the score was fixed.
        note: What else a reader must know; may be empty.
        strata: Membership: the test images in strata of `local density` and of the columns of
            `evaluator.strata` (`gansfp.evaluation.strata`).
        seed: Seed of resamples, permutations and splits.
    """

    task: str
    official: str
    unit: str
    test: Measurement | None
    patients: Measurement | None
    validation: Measurement | None
    controls: dict[str, Control]
    valid: bool | None
    invalid_reason: str | None
    transductive: bool
    threshold: float | None
    orientation: str
    note: str
    strata: NotRequired[dict[str, list[Any]]]
    seed: int


def objective_of(result: Mapping[str, Any], name: str | None = None) -> float | None:
    """Read the number that a search maximises; never a NaN, which would end a sweep.

    Args:
        result: What `result.json` holds.
        name: A metric; None: the official one.

    Returns:
        Its value on the test images, or else on the validation images; None where no labelled image
        was at hand to measure on.

    Raises:
        UserError: The run has no such finite metric.
    """
    measured = result["test"] or result["validation"]
    if not measured:
        return None
    value = (measured["metrics"].get(name or result["official"]) or [None])[0]
    if value is None or not math.isfinite(value):
        raise UserError(
            f"objective={name or result['official']}: the run has no such finite metric; it has "
            f"{', '.join(measured['metrics'])}"
        )
    return float(value)


def plain(value: Any) -> Any:
    """Translate to JSON: NaN and infinities become None, tuples lists, numpy scalars numbers."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
