"""Figures for papers show the numbers of the page's plots."""

from __future__ import annotations

import numpy as np
import pytest

from gansfp.report.plots import Axis, Marker, Plot, Series
from gansfp.report.static import DASHES, OKABE_ITO, draw

figure = pytest.importorskip("matplotlib.figure")


def test_a_paper_shows_what_the_page_shows() -> None:
    plot = Plot(
        Axis("x", 0, 4),
        Axis("share", 0, 1, percent=True),
        (
            Series("a", [0, 1, 2], [0, 0.5, 1]),
            Series("chance", [0, 4], [0, 1], reference=True),
            Series("b", [0, 1, 2], [0.25, 0.75], "bars"),
            Series("c", [1, 2], [0.4, 0.6], "points", [0.3, 0.5], [0.6, 0.9]),
        ),
        (Marker(0.1, "cut"),),
    )
    axes = figure.Figure().add_subplot()
    draw(plot, axes)
    line, chance, *_ = axes.get_lines()
    np.testing.assert_array_equal(line.get_xydata(), [[0, 0], [1, 0.5], [2, 1]])
    assert (line.get_color(), line.get_linestyle()) == (OKABE_ITO[0], "-")
    assert (chance.get_color(), chance.get_linestyle()) == ("0.5", "--")
    outline, filled = axes.patches
    for stairs in (outline, filled):
        np.testing.assert_array_equal(stairs.get_data().values, [0.25, 0.75])
        np.testing.assert_array_equal(stairs.get_data().edges, [0, 1, 2])
    assert outline.get_linestyle() == DASHES[1]
    (bars,) = axes.containers
    segments = bars.lines[2][0].get_segments()
    np.testing.assert_allclose(segments, [[[1, 0.3], [1, 0.6]], [[2, 0.5], [2, 0.9]]])
    assert axes.get_xlabel() == "x"
    assert axes.get_ylim() == (0, 1)
    assert axes.yaxis.get_major_formatter()(0.25) == "25%"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "chance", "b", "c"]
