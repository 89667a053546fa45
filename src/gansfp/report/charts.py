"""The charts of runs: what `gansfp.evaluation.evidence` computes, as plots with captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from gansfp.evaluation.evidence import Evidence, reliability, roc_curve
from gansfp.report.parts import Figure
from gansfp.report.plots import STYLES, Axis, Marker, Plot, Series
from gansfp.report.study import Entry
from gansfp.report.tables import Matrix
from gansfp.runtime.files import read_json

BARS = 24
CURVE_POINTS = 120
"""Points of a learning curve that are drawn; more are thinned out evenly."""

SIDES = {1: "used", 0: "not used"}


def roc_figure(entries: Sequence[Entry], title: str = "Who is told from whom") -> Figure | None:
    """Draw the ROC curves of the first entries that have one, six at most."""
    series: list[Series] = []
    for entry in entries:
        evidence = entry.evidence
        if len(series) < STYLES and evidence is not None and _has_both(evidence):
            assert evidence.truth is not None
            fpr, tpr = roc_curve(evidence.truth, evidence.score())
            series.append(Series(entry.name, fpr.tolist(), tpr.tolist()))
    if not series:
        return None
    plot = Plot(
        Axis("unused images called used", 0, 1, percent=True),
        Axis("used images called used", 0, 1, percent=True),
        [*series, Series("guessing", [0, 1], [0, 1], reference=True)],
        (Marker(0.01, ""), Marker(0.10, "1 % and 10 % false alarms")),
    )
    many = f" The first {STYLES} of {len(entries)} runs." if len(entries) > STYLES else ""
    return Figure(
        plot,
        title,
        "ROC curve: a curve above the diagonal tells used from unused images. Dotted lines: at 1 % "
        f"and 10 % false alarms, the heights are TPR at 1 % and at 10 % FPR.{many}",
        f"ROC curves of {len(series)} runs over the test images",
    )


def score_figure(entry: Entry) -> Figure | None:
    """Draw the distribution of scores, or of the winning probability, by role."""
    evidence = entry.evidence
    if evidence is None:
        return None
    roles = _roles(evidence)
    values = np.concatenate(list(roles.values()))
    if not len(values):
        return None
    # Far outliers go into the bars at the ends.
    low, high = np.quantile(values, [0.005, 0.995])
    if evidence.task == "attribution":
        low, high = 1 / max(len(evidence.classes), 1), 1.0
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BARS + 1)
    series = [
        Series(name, edges.tolist(), _shares(scores, edges), _kind(name))
        for name, scores in roles.items()
        if len(scores)
    ]
    threshold = entry.result.get("threshold")
    markers = [] if threshold is None or not low < threshold < high else [
        Marker(float(threshold), "called used →")]  # fmt: skip
    membership = evidence.task == "membership"
    plot = Plot(
        Axis("score" if membership else "probability of the class named"),
        Axis("share of images", 0, None, percent=True),
        series,
        markers,
    )
    return Figure(
        plot,
        "Scores by role" if membership else "How sure the decisions are",
        "Each outline holds all images of its role; the more two outlines lie apart, the better "
        "they are told apart. Outliers are in the bars at the ends.",
        f"Histogram: {', '.join(series_.name for series_ in series)}",
    )


def _roles(evidence: Evidence) -> dict[str, np.ndarray]:
    if evidence.task == "attribution":
        best = evidence.probabilities().max(axis=1)
        if evidence.truth is None:
            return {"test images": best}
        right = evidence.test["decision"].to_numpy() == evidence.truth
        return {"right": best[right], "wrong": best[~right]}
    score = evidence.score()
    roles: dict[str, np.ndarray] = {}
    if evidence.truth is None:
        roles["test"] = score
    else:
        roles |= {f"test, {SIDES[side]}": score[evidence.truth == side] for side in (1, 0)}
    known = evidence.validation
    if known is not None and "score" in known:
        for side in (1, 0):
            rows = known["label"] == side
            roles[f"labelled, {SIDES[side]}"] = known.loc[rows, "score"].to_numpy(np.float64)
    return roles


def _kind(role: str) -> Literal["bars", "outline"]:
    return "outline" if role.startswith("labelled") else "bars"


def _shares(values: np.ndarray, edges: np.ndarray) -> list[float]:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return [float(share) for share in counts / max(len(values), 1)]


def reliability_figure(entry: Entry) -> Figure | None:
    """Draw how often decisions are right that are called probable."""
    evidence = entry.evidence
    found = None if evidence is None else reliability(evidence)
    if evidence is None or found is None:
        return None
    plot = Plot(
        Axis("probability", 0, 1, percent=True),
        Axis("share that is so", 0, 1, percent=True),
        (
            Series("perfectly calibrated", [0, 1], [0, 1], reference=True),
            Series("test images", found.claimed, found.observed, "points", found.low, found.high),
        ),
    )
    how = (
        "The score as a probability: a logistic curve fitted to the labelled images"
        if evidence.task == "membership"
        else "The probability of the class that is named"
    )
    return Figure(
        plot,
        "Can its probabilities be believed?",
        f"Reliability. {how}, against the truth of the test images; 95 % intervals (Wilson). "
        f"Expected calibration error {found.error:.3f}.",
        "Reliability diagram in ten bins",
    )


def confusion(entry: Entry) -> Matrix | None:
    """Lay out the confusion matrix of the test images."""
    counts = (entry.result.get("test") or {}).get("confusion") or {}
    if {"tp", "fp", "fn", "tn"} <= set(counts):
        rows = ((counts["tp"], counts["fn"]), (counts["fp"], counts["tn"]))
        return Matrix("Test images by truth and decision", ("used", "not used"), rows)
    names = [*counts]
    if not names or not all(isinstance(line, dict) for line in counts.values()):
        return None
    rows_of = [[int(counts[a].get(b, 0)) for b in names] for a in names]
    return Matrix("Test images by true and named subset", names, rows_of)


def curve_figures(folder: Path) -> list[Figure]:
    """Draw the learning curves in `metrics.csv`: losses, and what else was logged."""
    try:
        table = pd.read_csv(folder / "metrics.csv")
    except (OSError, ValueError):
        return []
    if "step" not in table:
        return []
    columns = [c for c in table.columns if c not in ("step", "epoch") and _is_number(table[c])]
    losses = [c for c in columns if "loss" in c]
    others = [c for c in columns if c not in losses and not c.startswith("lr")]
    kinds = (("Learning curves: loss", losses), ("Learning curves: metrics", others))
    return [_curves(table, title, names) for title, names in kinds if names]


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and column.notna().any())


def _curves(table: pd.DataFrame, title: str, names: Sequence[str]) -> Figure:
    series = []
    for name in names[:STYLES]:
        known = table[["step", name]].dropna()
        known = known[np.isfinite(known[name])]
        picked = np.unique(np.linspace(0, len(known) - 1, CURVE_POINTS).round().astype(int))
        thin = known.iloc[picked] if len(known) else known
        series.append(Series(name, thin["step"].tolist(), thin[name].tolist()))
    return Figure(Plot(Axis("step"), Axis("value"), series), title, "", f"{title} over steps")


def settings(folder: Path) -> str:
    """Read the configuration of a run as it was stored."""
    try:
        return (folder / "config.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def verdict_file(folder: Path) -> dict[str, object]:
    """Read how scores became decisions; empty where a run does not say."""
    return dict(read_json(folder / "decision.json") or {})


def _has_both(evidence: Evidence) -> bool:
    return (
        evidence.task == "membership"
        and evidence.truth is not None
        and (len(set(evidence.truth.tolist())) == 2)
    )
