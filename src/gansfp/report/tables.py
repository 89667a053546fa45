"""The parts of a page that are tables; every cell is data, never markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from gansfp.report.parts import SYMBOLS, Finding, Part
from gansfp.report.render import render


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading, a button that sorts.
        number: Right-aligned, sorted by value, largest first.
        help: What it means, shown where the pointer rests and read by screen readers.
    """

    title: str
    number: bool = False
    help: str = ""


@dataclass(frozen=True)
class Mark:
    """An interval drawn in a cell, on a scale that a column shares.

    Attributes:
        value: The dot.
        low: End of the line; None: no line.
        high: Other end.
        scale: Ends of the scale.
        chance: A tick; None: none.
        band: Ends of the grey band in which chance lies; None: none.
    """

    value: float
    low: float | None
    high: float | None
    scale: tuple[float, float]
    chance: float | None = None
    band: tuple[float, float] | None = None

    def __html__(self) -> str:
        """Draw as a small SVG; the cell's text says the same in words."""
        return render("mark.svg", mark=self, at=self._at)

    def _at(self, value: float) -> float:
        low, high = self.scale
        return round(100 * min(max((value - low) / (high - low), 0.0), 1.0), 2)


@dataclass(frozen=True)
class Cell:
    """A cell of a table; `cell` and `interval_cell` make one.

    Attributes:
        text: What is shown.
        sort: What the column is sorted by; None: the text.
        note: Small, below the text.
        mark: An interval, drawn below the text.
        finding: Puts the symbol and colour of a finding before the text.
        link: Anchor in the page; empty: none.
        code: In a typewriter face.
    """

    text: str
    sort: float | None = None
    note: str = ""
    mark: Mark | None = None
    finding: Finding | None = None
    link: str = ""
    code: bool = False

    @property
    def symbol(self) -> str:
        """The symbol of the finding."""
        return SYMBOLS[self.finding][0] if self.finding else ""


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        cells: One a column; the first names the row.
        run: Rows of the same run, in any table, are hidden together; empty: never hidden.
        group: Name of the group it belongs to; rows of a group have its heading.
    """

    cells: Sequence[Cell]
    run: str = ""
    group: str = ""


def cell(value: str | float | None, form: str = ".3g", **more: Any) -> Cell:
    """Make a cell of a text or a number; None and NaN become an empty cell, sorted last."""
    if isinstance(value, str):
        return Cell(value, **more)
    if value is None or not math.isfinite(value):
        return Cell("", **more)
    return Cell(format(value, form), sort=float(value), **more)


def interval_cell(
    value: float | None,
    low: float | None,
    high: float | None,
    scale: tuple[float, float],
    chance: float | None = None,
    band: tuple[float, float] | None = None,
    form: str = ".3f",
) -> Cell:
    """Make a cell of a number with its interval, in figures and drawn on the column's scale."""
    if value is None or not math.isfinite(value):
        return Cell("")
    known = low is not None and high is not None
    note = f"{low:{form}} to {high:{form}}" if known else ""
    mark = Mark(value, low, high, scale, chance, band)
    return Cell(format(value, form), sort=float(value), note=note, mark=mark)


def row(*cells: Cell, run: str = "", group: str = "") -> Row:
    """Make a row of cells."""
    return Row(cells, run, group)


@dataclass(frozen=True)
class Table(Part):
    """A table whose headings sort it.

    Attributes:
        caption: What it shows.
        columns: Headings.
        rows: One cell a column each.
        filterable: A field above it shows the rows that hold a text.
        hideable: Rows that belong to a run have a button that hides the run.
        note: Below the table.
        limit: Rows shown before "show all"; 0: all.
        narrow: As wide as a paragraph, for tables of few short columns.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    filterable: bool = False
    hideable: bool = False
    note: str = ""
    limit: int = 0
    narrow: bool = False
    template: ClassVar[str] = "table.html"

    def __post_init__(self) -> None:
        for one in self.rows:
            if len(one.cells) != len(self.columns):
                raise ValueError(f"{len(one.cells)} cells in a table of {len(self.columns)}")


@dataclass(frozen=True)
class Matrix(Part):
    """Counts by truth and decision, shaded by their share of the row.

    Attributes:
        caption: What it shows.
        names: Of the rows and the columns.
        counts: `counts[row][column]`.
        rows_are: What rows are, such as "truth".
        columns_are: What columns are, such as "decision".
    """

    caption: str
    names: Sequence[str]
    counts: Sequence[Sequence[int]]
    rows_are: str = "truth"
    columns_are: str = "decision"
    template: ClassVar[str] = "matrix.html"

    def extra(self) -> dict[str, Any]:
        """Share of each count in its row."""
        return {"shares": [[n / max(sum(line), 1) for n in line] for line in self.counts]}
