"""Who is exposed, and who is accused wrongly: patients over the generators of a bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gansfp.evaluation.conformal import discover, fewest_calls
from gansfp.evaluation.intervals import Interval, wilson
from gansfp.evaluation.measure import mean_by_group
from gansfp.evaluation.multiplicity import benjamini_hochberg
from gansfp.evaluation.ranking import auroc, midranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.shadows.table import BankTable

    Values = NDArray[np.float64]

LEVEL = 0.05
"""Share of the patients that a generator was not trained on who are called members of it."""


def vulnerability(
    table: BankTable, scores: Values, patients: NDArray[np.str_], level: float = LEVEL
) -> pd.DataFrame:
    """Say for every patient how well generators that know it can be told from those that don't.

    Args:
        table: The bank.
        scores: Of one attack, higher for members, shape (K, n).
        patients: Name of the patient of each image, shape (n,).
        level: False-positive rate of the threshold, which each generator's own non-members set.

    Returns:
        One row a patient, most exposed first: `group`, `images`, `inside` and `outside` (numbers
        of generators), `mean_inside`, `mean_outside`, `auroc` (over generators), `caught` and
        `accused` (shares of the generators inside, outside, at which the patient is called a
        member), `p` (one-sided, `exact_rank_p`) and `q` (Benjamini and Hochberg over patients).
        Scores are ranked among a generator's non-members first, so that generators compare.
    """
    by_patient = mean_by_group(scores.T, table.groups).T
    known = mean_by_group(table.membership.T.astype(np.float64), table.groups).T > 0.5
    _, first, images = np.unique(table.groups, return_index=True, return_counts=True)
    names = patients[first]
    share = _above_outsiders(by_patient, known)
    rows = []
    for patient, name in enumerate(names):
        inside, outside = share[known[:, patient], patient], share[~known[:, patient], patient]
        both = min(len(inside), len(outside)) > 0
        truth = np.repeat([1, 0], [len(inside), len(outside)])
        p = exact_rank_p(inside, outside) if both else 1.0
        rows.append(
            {
                "group": name,
                "images": int(images[patient]),
                "inside": len(inside),
                "outside": len(outside),
                "mean_inside": float(inside.mean()) if len(inside) else np.nan,
                "mean_outside": float(outside.mean()) if len(outside) else np.nan,
                "auroc": auroc(truth, np.concatenate([inside, outside])) if both else np.nan,
                "caught": float((inside > 1 - level).mean()) if len(inside) else np.nan,
                "accused": float((outside > 1 - level).mean()) if len(outside) else np.nan,
                "p": p,
            }
        )
    frame = pd.DataFrame(rows)
    frame["q"] = benjamini_hochberg(frame["p"].to_numpy())
    return frame.sort_values(["auroc", "caught", "group"], ascending=[False, False, True])


def exact_rank_p(inside: Values, outside: Values) -> float:
    """Ask whether values inside are larger: the exact p-value of Wilcoxon's rank sum, with ties.

    The share of all ways to choose which values lie inside whose sum of mid-ranks is at least the
    observed one; counted by adding one value after the other.

    Args:
        inside: Shape (a,).
        outside: Shape (b,).
    """
    doubled = np.rint(2 * midranks(np.concatenate([inside, outside]))).astype(np.int64)
    ways = np.zeros((len(inside) + 1, int(doubled.sum()) + 1))
    ways[0, 0] = 1.0
    for rank in doubled:
        ways[1:, rank:] += ways[:-1, : ways.shape[1] - rank].copy()
    of_size = ways[len(inside)]
    return float(of_size[doubled[: len(inside)].sum() :].sum() / of_size.sum())


def _above_outsiders(by_patient: Values, known: NDArray[np.bool_]) -> Values:
    """Share of a generator's other non-members that a patient's score exceeds, shape (K, g)."""
    share = np.zeros(by_patient.shape)
    for k, scores in enumerate(by_patient):
        outsiders = np.sort(scores[~known[k]])
        below = np.searchsorted(outsiders, scores, "left")
        others = len(outsiders) - (~known[k]).astype(np.int64)
        share[k] = below / np.maximum(others, 1)
    return share


def null_audits(
    table: BankTable,
    scores: Values,
    audits: int = 10,
    q: float = 0.05,
    members: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Audit each generator's non-members as if they were candidates.

    In each audit half of the patients that a generator does not know are known non-members, whose
    scores calibrate conformal p-values; the other half are candidates, and nobody may be flagged.
    With `members` a share of the candidates is exchanged for patients that the generator knows.

    Args:
        table: The bank.
        scores: Of one attack, higher for members, shape (K, n).
        audits: Number a generator.
        q: False discovery rate (Benjamini and Hochberg).
        members: Share of members among the candidates.
        seed: Of the halves.

    Returns:
        One row an audit: `generator`, `audit`, `candidates`, `known`, `members`, `flagged`,
        `false`, `found`, and `fewest`: so many must be flagged at once, if anyone is.
    """
    by_patient = mean_by_group(scores.T, table.groups).T
    inside = mean_by_group(table.membership.T.astype(np.float64), table.groups).T > 0.5
    rows = []
    for k, name in enumerate(table.names):
        rng = np.random.default_rng([seed, k])
        for audit in range(audits):
            others = rng.permutation(np.flatnonzero(~inside[k]))
            half = len(others) // 2
            candidates = others[half:]
            taken = rng.permutation(np.flatnonzero(inside[k]))[: round(members * len(candidates))]
            candidates = np.concatenate([candidates[len(taken) :], taken])
            called = discover(by_patient[k, candidates], by_patient[k, others[:half]], q).called
            used = np.isin(candidates, taken)
            rows.append(
                {
                    "generator": name,
                    "audit": audit,
                    "candidates": len(candidates),
                    "known": half,
                    "members": len(taken),
                    "fewest": fewest_calls(len(candidates), half, q),
                    "flagged": int(called.sum()),
                    "false": int((called & ~used).sum()),
                    "found": int((called & used).sum()),
                }
            )
    return pd.DataFrame(rows)


def alarm_rate(audits: pd.DataFrame) -> Interval:
    """Share of the audits that flag anyone.

    The interval is Wilson's on the effective number of audits: those of one generator are clustered
    (design effect of the analysis of variance).
    """
    alarm = (audits["flagged"] > 0).to_numpy().astype(np.float64)
    generator = np.unique(audits["generator"].to_numpy().astype(str), return_inverse=True)[1]
    sizes = np.bincount(generator)
    means = np.bincount(generator, alarm) / sizes
    rate, total = float(alarm.mean()), len(alarm)
    clusters = len(sizes)
    effective = float(total)
    if clusters > 1 and 0 < rate < 1 and total > clusters:
        between = (sizes * (means - rate) ** 2).sum() / (clusters - 1)
        within = ((alarm - means[generator]) ** 2).sum() / (total - clusters)
        size = (total - (sizes**2).sum() / total) / (clusters - 1)
        correlation = max(0.0, (between - within) / (between + (size - 1) * within))
        effective = total / (1 + (size - 1) * correlation)
    number = max(1, round(effective))
    interval = wilson(round(rate * number), number)
    return Interval(rate, min(interval.low, rate), max(interval.high, rate))
