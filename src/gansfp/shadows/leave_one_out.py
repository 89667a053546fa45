"""Every generator of a bank is the target in turn; the others are its shadow generators."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gansfp.decisions import best_kappa_threshold
from gansfp.errors import UserError
from gansfp.evaluation.generators import over_generators, paired_p
from gansfp.evaluation.measure import mean_by_group
from gansfp.evaluation.metrics import membership_metrics
from gansfp.shadows.attacks import ATTACKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gansfp.shadows.table import BankTable

    Values = NDArray[np.float64]
    Mask = NDArray[np.bool_]

log = logging.getLogger(__name__)

METRICS = ("auroc", "kappa", "tpr_at_1fpr", "tpr_at_10fpr")
BASELINES = ("nearest", "pool_ratio", "statistic")


@dataclass(frozen=True)
class Outcome:
    """Scores of every generator's images by every attack.

    Attributes:
        scores: By attack, higher for members, shape (K, n).
        labelled: Images whose truth the attacker of a generator knows, shape (K, n): they give RMIA
            its population and the decisions their threshold, and are not measured.
    """

    scores: dict[str, Values]
    labelled: Mask


def leave_one_out(
    table: BankTable, attacks: Sequence[str], labelled: float = 0.3, k: int = 1, seed: int = 0
) -> Outcome:
    """Attack each generator with the others as shadow generators, its complement left out.

    Args:
        table: The bank.
        attacks: Names of `gansfp.shadows.attacks.ATTACKS`.
        labelled: Share of the patients, of members and of others, whose truth is known.
        k: Neighbours of the statistic.
        seed: Of the choice of those patients.

    Raises:
        UserError: There is no such attack, or the bank is too small for one.
    """
    for name in attacks:
        if name not in ATTACKS:
            raise UserError(f"attacks: {name}: choose {', '.join(ATTACKS)}")
    count, size = table.membership.shape
    known = np.zeros((count, size), dtype=bool)
    scores = {name: np.zeros((count, size)) for name in attacks}
    for target in range(count):
        known[target] = _labelled(table, target, labelled, seed)
        case = table.case(target, known[target] & ~table.membership[target], k)
        for name in attacks:
            try:
                scores[name][target] = ATTACKS[name](case)
            except ValueError as error:
                raise UserError(
                    f"bank: too small for {name} ({error}); forge more generators, or leave it "
                    "out of attacks"
                ) from error
        log.info("%s: attacked", table.names[target])
    return Outcome(scores, known)


def _labelled(table: BankTable, target: int, share: float, seed: int) -> Mask:
    """Draw patients, stratified by whether the target knows them; every kind keeps some."""
    rng = np.random.default_rng([seed, target])
    number = table.groups
    member = mean_by_group(table.membership[target].astype(np.float64), number) > 0.5
    drawn: list[NDArray[np.int64]] = []
    for kind in (True, False):
        patients = rng.permutation(np.flatnonzero(member == kind))
        if len(patients) < 4:
            raise UserError(
                f"bank: {len(patients)} patients that {table.names[target]} was "
                f"{'' if kind else 'not '}trained on are too few; forge a bank of more"
            )
        drawn.append(patients[: min(max(2, round(share * len(patients))), len(patients) - 2)])
    return np.isin(number, np.concatenate(drawn))


def measure(table: BankTable, outcome: Outcome) -> pd.DataFrame:
    """Measure each attack on each generator, by patient.

    A patient's score is the mean of its images'. The decisions' threshold has the best kappa on the
    labelled patients; the metrics are those of all others.

    Returns:
        One row an attack and generator: `attack`, `generator`, `patients`, and the METRICS.
    """
    rows = []
    for name, scores in outcome.scores.items():
        for target, generator in enumerate(table.names):
            by_patient = mean_by_group(scores[target], table.groups)
            truth = mean_by_group(table.membership[target].astype(float), table.groups) > 0.5
            known = mean_by_group(outcome.labelled[target].astype(float), table.groups) > 0.5
            cut = best_kappa_threshold(by_patient[known], truth[known].astype(np.int64))
            measured = membership_metrics(
                truth[~known].astype(np.int64),
                (by_patient[~known] >= cut).astype(np.int64),
                by_patient[~known],
            )
            rows.append(
                {
                    "attack": name,
                    "generator": generator,
                    "patients": int((~known).sum()),
                    **{metric: float(measured[metric]) for metric in METRICS},
                }
            )
    return pd.DataFrame(rows)


def summarise(measured: pd.DataFrame) -> pd.DataFrame:
    """Average over generators, with intervals.

    Returns:
        One row an attack and metric: `attack`, `metric`, `value`, `low`, `high`, `sd`,
        `generators`.
    """
    rows = []
    for name, part in measured.groupby("attack", sort=False):
        for metric in METRICS:
            values = part[metric].to_numpy()
            mean, low, high = over_generators(values)
            spread = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
            facts = {"attack": name, "metric": metric, "value": mean, "low": low, "high": high}
            rows.append({**facts, "sd": spread, "generators": len(values)})
    return pd.DataFrame(rows)


def compare(measured: pd.DataFrame, baselines: Sequence[str] = BASELINES) -> pd.DataFrame:
    """Compare each attack with those that use no shadow generator, paired by generator.

    Returns:
        One row an attack, baseline and metric: the mean difference with interval, and p.
    """
    rows = []
    wide = measured.pivot(index="generator", columns="attack")
    names = [name for name in measured["attack"].unique() if name not in baselines]
    for name in names:
        for baseline in baselines:
            if baseline not in set(measured["attack"]):
                continue
            for metric in METRICS:
                first, second = wide[metric, name].to_numpy(), wide[metric, baseline].to_numpy()
                mean, low, high = over_generators(first - second)
                facts = {"attack": name, "baseline": baseline, "metric": metric}
                interval = {"difference": mean, "low": low, "high": high}
                rows.append({**facts, **interval, "p": paired_p(first, second)})
    columns = ["attack", "baseline", "metric", "difference", "low", "high", "p"]
    return pd.DataFrame(rows, columns=columns)
