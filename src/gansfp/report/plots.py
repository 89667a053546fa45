"""Plots as data, and their drawing as inline SVG in the page's own colours.

A series is told from another by colour and by dash and marker, never by colour alone; the colours
are those of Okabe and Ito (2008), as custom properties of the style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any, Literal

from markupsafe import Markup

from gansfp.report.render import render

Kind = Literal["line", "steps", "points", "bars", "outline"]
HISTOGRAMS = ("bars", "outline")
WIDTH, HEIGHT = 420.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 60.0, 20.0, 12.0, 44.0
STYLES = 6
"""Styles that the style sheet tells apart; a seventh series looks as the first."""


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        title: What it shows, with its unit.
        low: Left or lower end; None: from the data.
        high: The other end; None: from the data.
        percent: Write shares as per cent.
    """

    title: str
    low: float | None = None
    high: float | None = None
    percent: bool = False


@dataclass(frozen=True)
class Series:
    """One row of values of a plot.

    Attributes:
        name: In the legend; empty: not there.
        x: Shape (n,); edges of the bars, shape (n + 1,).
        y: Shape (n,).
        kind: `line`, `steps` (a staircase), `points`, `bars` (a histogram), or `outline` (one
            that is not filled).
        low: Lower ends of the intervals of points, shape (n,); empty: none.
        high: Upper ends, shape (n,).
        reference: A thin grey dashed line, such as chance.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: Kind = "line"
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    reference: bool = False


@dataclass(frozen=True)
class Marker:
    """A vertical line with a label, such as a threshold."""

    x: float
    label: str


@dataclass(frozen=True)
class Plot:
    """Series over two axes.

    Attributes:
        x: Horizontal axis.
        y: Vertical axis.
        series: Drawn in this order.
        markers: Vertical lines.
    """

    x: Axis
    y: Axis
    series: Sequence[Series]
    markers: Sequence[Marker] = ()

    def __html__(self) -> str:
        """Draw as SVG."""
        return svg(self)


@dataclass(frozen=True)
class _Scale:
    """From values to places on paper."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...] = field(default=())

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def svg(plot: Plot, alt: str = "") -> Markup:
    """Draw a plot as SVG.

    Args:
        plot: What to draw.
        alt: What a reader who does not see it is told; empty: the axes and the series' names.

    Returns:
        An `<svg>` element whose colours follow the page's.
    """
    x = _scale(plot.x, list(_values(plot, "x")), LEFT, WIDTH - RIGHT)
    y = _scale(plot.y, list(_values(plot, "y")), HEIGHT - BOTTOM, TOP)
    styles = _styles(plot.series)
    return render(
        "plot.svg",
        plot=plot,
        alt=alt or _described(plot),
        width=WIDTH,
        height=HEIGHT,
        box={"left": LEFT, "right": WIDTH - RIGHT, "top": TOP, "bottom": HEIGHT - BOTTOM},
        x_ticks=[(x(t), label(t, plot.x)) for t in x.ticks],
        y_ticks=[(y(t), label(t, plot.y)) for t in y.ticks],
        series=[_drawn(one, style, x, y) for one, style in zip(plot.series, styles, strict=True)],
        markers=[(x(marker.x), marker.label) for marker in plot.markers],
    )


def label(value: float, axis: Axis) -> str:
    """Write a tick."""
    if axis.percent:
        return f"{100 * value:.3g} %"
    return f"{value:.6g}"


def legend(plot: Plot) -> list[tuple[str, str, str]]:
    """List name, style and kind of the series that have a name."""
    styles = _styles(plot.series)
    return [
        (one.name, style, one.kind)
        for one, style in zip(plot.series, styles, strict=True)
        if one.name
    ]


def _styles(series: Sequence[Series]) -> list[str]:
    names, number = [], 0
    for one in series:
        names.append("reference" if one.reference else f"s{number % STYLES + 1}")
        number += not one.reference
    return names


def _described(plot: Plot) -> str:
    names = ", ".join(one.name for one in plot.series if one.name)
    return f"{plot.y.title} against {plot.x.title}{': ' if names else ''}{names}"


def _drawn(one: Series, style: str, x: _Scale, y: _Scale) -> dict[str, Any]:
    drawn: dict[str, Any] = {"name": one.name, "style": style, "kind": one.kind,
                             "path": "", "points": [], "intervals": []}  # fmt: skip
    base = y(max(y.low, 0.0)) if y.low <= 0 <= y.high else y(y.low)
    points = [
        (round(x(a), 1), round(y(b), 1))
        for a, b in zip(one.x, one.y, strict=one.kind not in HISTOGRAMS)
        if math.isfinite(a) and math.isfinite(b)
    ]
    if one.kind == "points":
        lows = [round(y(value), 1) for value in one.low]
        highs = [round(y(value), 1) for value in one.high]
        bars = zip((a for a, _ in points), lows, highs, strict=True) if lows else []
        return drawn | {"points": points, "intervals": list(bars)}
    if one.kind in HISTOGRAMS:
        return drawn | {"path": _histogram(one, x, y, base)}
    return drawn | {"path": _path(points, steps=one.kind == "steps")}


def _path(points: Sequence[tuple[float, float]], steps: bool) -> str:
    """Write a line; points that lie on a vertical or horizontal piece are left out."""
    if steps:  # up or down first, then along
        corners = [(before[0], after[1]) for before, after in pairwise(points)]
        points = [*chain.from_iterable(zip(points, corners, strict=False)), *points[-1:]]
    kept: list[tuple[float, float]] = []
    for point in points:
        straight = len(kept) > 1 and any(
            kept[-2][k] == kept[-1][k] == point[k] and _between(kept[-2], kept[-1], point)
            for k in (0, 1)
        )
        if straight:
            kept.pop()
        if not kept or kept[-1] != point:
            kept.append(point)
    return "M" + "L".join(f"{a:g} {b:g}" for a, b in kept) if kept else ""


def _between(
    first: tuple[float, float], middle: tuple[float, float], last: tuple[float, float]
) -> bool:
    return all(min(a, c) <= b <= max(a, c) for a, b, c in zip(first, middle, last, strict=True))


def _histogram(one: Series, x: _Scale, y: _Scale, base: float) -> str:
    edges = [round(x(edge), 1) for edge in one.x]
    pieces = [f"M{edges[0]:g} {base:g}"]
    for right, height in zip(edges[1:], one.y, strict=True):
        pieces.append(f"V{round(y(height), 1):g}H{right:g}")
    return "".join([*pieces, f"V{base:g}Z"])


def _values(plot: Plot, which: Literal["x", "y"]) -> Iterator[float]:
    for one in plot.series:
        values = [*one.x] if which == "x" else [*one.y, *one.low, *one.high]
        if which == "y" and one.kind in HISTOGRAMS:
            values.append(0.0)
        yield from (float(value) for value in values if math.isfinite(value))
    if which == "x":
        yield from (marker.x for marker in plot.markers)


def _scale(axis: Axis, values: list[float], start: float, end: float) -> _Scale:
    low = axis.low if axis.low is not None else min(values, default=0.0)
    high = axis.high if axis.high is not None else max(values, default=1.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    step = _step(high - low)
    if axis.low is None and low != 0:
        low = math.floor(low / step + 1e-9) * step
    if axis.high is None:
        high = math.ceil(high / step - 1e-9) * step
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    ticks = tuple(round(k * step, 12) for k in range(first, last + 1))
    return _Scale(low, high, start, end, ticks)


def _step(span: float) -> float:
    """Pick the distance of ticks: 1, 2 or 5 times a power of ten, about five in the span."""
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return float(power * min((1, 2, 5, 10), key=lambda f: abs(f * power - rough)))
