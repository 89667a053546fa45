"""Content or fingerprint: does a method know the patients, or the generator that it learnt from?

A benchmark of attribution may hold several test sets: `test/` from the generators whose images the
method learnt from, `test_B/` from others, trained on the same patients. Who knows the patients is
as good on both; who knows the generator alone is at chance on the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gansfp.evaluation.intervals import Interval, wilson

Knows = Literal["patients", "generator", "both", "neither"]


@dataclass(frozen=True)
class TwoSets:
    """A method on images of the generators that it learnt from, and of others.

    Attributes:
        own: Accuracy on the first, with its Wilson interval.
        other: Accuracy on the second.
        loss: `own - other`, with Newcombe's interval for independent proportions.
        chance: Accuracy of guessing.
        knows: What that says.
    """

    own: Interval
    other: Interval
    loss: Interval
    chance: float
    knows: Knows


def compare_sets(own: tuple[int, int], other: tuple[int, int], chance: float) -> TwoSets:
    """Compare the accuracies on two test sets, each (right, images).

    `neither`: the first interval holds chance or lies below it. `generator`: the second does.
    `both`: above chance in both, but the interval of the loss lies above 0. `patients`: above
    chance in both, and no loss is shown.
    """
    first, second = wilson(*own), wilson(*other)
    loss = newcombe_difference(own, other)
    knows: Knows = "patients"
    if first.low <= chance:
        knows = "neither"
    elif second.low <= chance:
        knows = "generator"
    elif loss.low > 0:
        knows = "both"
    return TwoSets(first, second, loss, chance, knows)


def newcombe_difference(first: tuple[int, int], second: tuple[int, int]) -> Interval:
    """Difference of two independent proportions with its 95 % interval (Newcombe 1998, method 10).

    Args:
        first: Successes and trials.
        second: Successes and trials.
    """
    one, two = wilson(*first), wilson(*second)
    apart = one.value - two.value
    low = apart - ((one.value - one.low) ** 2 + (two.high - two.value) ** 2) ** 0.5
    high = apart + ((one.high - one.value) ** 2 + (two.value - two.low) ** 2) ** 0.5
    return Interval(apart, low, high)
