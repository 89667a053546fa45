"""The charts of a report as PNG and SVG files for papers, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gansfp.errors import UserError
from gansfp.report import charts
from gansfp.report.plots import HISTOGRAMS, STYLES, Axis, Plot, Series
from gansfp.report.study import Entry, Study, slug, studies
from gansfp.report.verdict import judged

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from gansfp.report.parts import Figure

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito (2008), without black and yellow."""

DASHES = ("-", "--", ":", "-.", (0, (8, 3)), (0, (4, 2, 1, 2)))
FORMATS = ("png", "svg")
SIZE = (3.5, 2.6)
"""Inches: a column of a two-column paper."""


def write_figures(frame: pd.DataFrame, folder: Path) -> int:
    """Write the charts of each study, and the learning curves of each run that has some.

    Args:
        frame: What `gansfp.evaluation.leaderboard.leaderboard` returned.
        folder: Where to; made.

    Returns:
        Number of files.

    Raises:
        UserError: matplotlib is missing, or the folder cannot be written.
    """
    try:
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise UserError(
            "figures=true: matplotlib is not installed; pip install 'gansfp[figures]'"
        ) from error
    count = 0
    for name, figure in _figures(studies(frame)):
        canvas = Canvas(figsize=SIZE, layout="constrained")
        draw(figure.plot, canvas.add_subplot())
        for form in FORMATS:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                canvas.savefig(folder / f"{name}.{form}", dpi=300, metadata=_undated(form))
            except OSError as error:
                raise UserError(f"{folder}: cannot be written ({error.strerror})") from error
            count += 1
    return count


def _undated(form: str) -> dict[str, Any]:
    """Leave the date out, so that equal figures are equal files."""
    return {"Date": None} if form == "svg" else {}


def _figures(found: list[Study]) -> Iterator[tuple[str, Figure]]:
    for study in found:
        _, best = judged(study)
        entry = best or study.entries[0]
        base = f"{study.number}-{slug(study.name)}"
        others = [one for one in study.entries if one is not entry]
        drawn = {
            "roc": charts.roc_figure([entry, *others]),
            "scores": charts.score_figure(entry),
            "reliability": charts.reliability_figure(entry),
        }
        yield from ((f"{base}-{name}", one) for name, one in drawn.items() if one is not None)
        for one in study.entries:
            yield from _learning(base, one)


def _learning(base: str, entry: Entry) -> Iterator[tuple[str, Figure]]:
    place = entry.key.rpartition("-")[2]
    for number, figure in enumerate(charts.curve_figures(entry.folders[0]), start=1):
        yield f"{base}-{place}-{slug(entry.name)}-learning-{number}", figure


def draw(plot: Plot, axes: Any) -> None:
    """Draw a plot of the page on matplotlib axes.

    Args:
        plot: The same data that the page draws.
        axes: `matplotlib.axes.Axes`.
    """
    number = 0
    for one in plot.series:
        _series(one, axes, number % STYLES)
        number += not one.reference
    for marker in plot.markers:
        axes.axvline(marker.x, color="0.6", linewidth=0.6, linestyle=":")
    for axis, way in ((plot.x, "x"), (plot.y, "y")):
        _axis(axis, axes, way)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=6)
    if any(one.name for one in plot.series):
        axes.legend(fontsize=5.5, frameon=False)


def _series(one: Series, axes: Any, number: int) -> None:
    colour, dash = OKABE_ITO[number], DASHES[number]
    look: dict[str, Any] = {"color": colour, "linestyle": dash, "linewidth": 1.1}
    if one.reference:
        look = {"color": "0.5", "linestyle": "--", "linewidth": 0.7}
    label = one.name or None
    if one.kind in HISTOGRAMS:
        axes.stairs(one.y, one.x, label=label, baseline=0, **look)
        if one.kind == "bars":
            axes.stairs(one.y, one.x, fill=True, color=colour, alpha=0.12)
    elif one.kind == "points":
        axes.errorbar(one.x, one.y, yerr=_lengths(one), fmt="o", markersize=2.5, color=colour,
                      linewidth=0.8, label=label)  # fmt: skip
    else:
        style = "steps-pre" if one.kind == "steps" else "default"
        axes.plot(one.x, one.y, drawstyle=style, label=label, **look)


def _lengths(one: Series) -> list[list[float]] | None:
    if not one.low:
        return None
    below = [value - low for value, low in zip(one.y, one.low, strict=True)]
    above = [high - value for value, high in zip(one.y, one.high, strict=True)]
    return [below, above]


def _axis(axis: Axis, axes: Any, way: str) -> None:
    getattr(axes, f"set_{way}label")(axis.title, fontsize=7)
    getattr(axes, f"set_{way}lim")(axis.low, axis.high)
    if axis.percent:
        from matplotlib.ticker import PercentFormatter

        getattr(axes, f"{way}axis").set_major_formatter(PercentFormatter(1.0))
