"""The parts that pages are made of; each renders itself, with every text escaped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from markupsafe import Markup

from gansfp.report import pictures
from gansfp.report.plots import Plot, legend, svg
from gansfp.report.render import asset, content_hash, render

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

Finding = Literal["found", "hint", "clear", "invalid", "note"]
SYMBOLS: dict[Finding, tuple[str, str]] = {
    "found": ("▲", "Found"),
    "hint": ("◆", "Unclear"),
    "clear": ("○", "Not found"),
    "invalid": ("✕", "Not valid"),
    "note": ("i", "Note"),
}
"""Symbol and word of a finding: colour is never alone."""


class Part:
    """Something that a page can hold; `template` is its file in `templates/`."""

    template: ClassVar[str]

    def __html__(self) -> str:
        """Render; jinja2 calls this where a part is put into a template."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]
        return render(self.template, **values, **self.extra())

    def extra(self) -> dict[str, Any]:
        """Values of the template beside the attributes."""
        return {}


@dataclass(frozen=True)
class Prose(Part):
    """Paragraphs.

    Attributes:
        paragraphs: Plain text each.
    """

    paragraphs: Sequence[str]
    template: ClassVar[str] = "prose.html"


@dataclass(frozen=True)
class Points(Part):
    """A short list under a small title.

    Attributes:
        title: Above it.
        items: Plain text each.
    """

    title: str
    items: Sequence[str]
    template: ClassVar[str] = "points.html"


@dataclass(frozen=True)
class Facts(Part):
    """Names and values, as a definition list.

    Attributes:
        pairs: Name and value.
    """

    pairs: Sequence[tuple[str, str]]
    template: ClassVar[str] = "facts.html"


@dataclass(frozen=True)
class Callout(Part):
    """A finding in a sentence.

    Attributes:
        finding: `found`, `hint`, `clear`, `invalid` or `note`: gives symbol, word and colour.
        title: The sentence.
        text: How sure it is, and on what.
        facts: A few numbers: name and value.
        label: What it is about, small, above the title.
        link: Anchor of the section with the details; empty: none.
    """

    finding: Finding
    title: str
    text: str = ""
    facts: Sequence[tuple[str, str]] = ()
    label: str = ""
    link: str = ""
    template: ClassVar[str] = "callout.html"

    def extra(self) -> dict[str, Any]:
        """Symbol and word."""
        symbol, word = SYMBOLS[self.finding]
        return {"symbol": symbol, "word": word}


@dataclass(frozen=True)
class Figure(Part):
    """A plot with its title, legend and caption.

    Attributes:
        plot: What is drawn.
        title: Above it.
        caption: Below it: how to read it.
        alt: For readers who do not see it: what it shows, in a sentence.
    """

    plot: Plot
    title: str
    caption: str = ""
    alt: str = ""
    template: ClassVar[str] = "figure.html"

    def extra(self) -> dict[str, Any]:
        """The drawing and its legend."""
        alt = self.alt or f"{self.title}. {self.caption}"
        return {"drawing": svg(self.plot, alt), "legend": legend(self.plot)}


@dataclass(frozen=True)
class Comparison(Part):
    """A real image, a synthetic one, and their difference.

    Attributes:
        real: Grey values, uint8, shape (H, W).
        synthetic: The same shape.
        name: Of the real image.
        synthetic_name: Of the synthetic one.
        notes: Lines below, such as the distance.
        finding: Symbol and word before the name; None: none.
    """

    real: NDArray[np.uint8] = field(repr=False)
    synthetic: NDArray[np.uint8] = field(repr=False)
    name: str
    synthetic_name: str
    notes: Sequence[str] = ()
    finding: Finding | None = None
    template: ClassVar[str] = "comparison.html"

    def extra(self) -> dict[str, Any]:
        """The three pictures."""
        apart = pictures.difference(self.real, self.synthetic)
        return {
            "symbol": SYMBOLS[self.finding][0] if self.finding else "",
            "images": [
                (pictures.data_uri(self.real), f"real image {self.name}", "real"),
                (
                    pictures.data_uri(self.synthetic),
                    f"nearest synthetic image {self.synthetic_name}",
                    "synthetic",
                ),
                (
                    pictures.data_uri(apart),
                    f"difference of {self.name} and {self.synthetic_name}",
                    "difference",
                ),
            ],
        }


@dataclass(frozen=True)
class Gallery(Part):
    """Comparisons in a grid.

    Attributes:
        comparisons: In the order of reading.
        caption: What they are.
    """

    comparisons: Sequence[Comparison]
    caption: str
    template: ClassVar[str] = "gallery.html"


@dataclass(frozen=True)
class Code(Part):
    """Text to copy, such as a command.

    Attributes:
        text: As it is.
        label: What it is.
    """

    text: str
    label: str = ""
    template: ClassVar[str] = "code.html"


@dataclass(frozen=True)
class Details(Part):
    """A fold.

    Attributes:
        summary: Its visible line.
        parts: What is inside.
        run: It is hidden together with this run; empty: never.
        anchor: Its id; empty: none.
        note: Small, beside the summary.
    """

    summary: str
    parts: Sequence[Part]
    run: str = ""
    anchor: str = ""
    note: str = ""
    template: ClassVar[str] = "details.html"


@dataclass(frozen=True)
class Columns(Part):
    """Parts side by side where there is room.

    Attributes:
        parts: From left to right.
    """

    parts: Sequence[Part]
    template: ClassVar[str] = "columns.html"


@dataclass(frozen=True)
class Section(Part):
    """A heading and what belongs to it.

    Attributes:
        title: The heading.
        parts: Below it.
        anchor: Its id, for links.
        intro: A paragraph before the parts.
        level: 2, or 3 for a section inside another.
        label: In the navigation of the page; empty: the title.
    """

    title: str
    parts: Sequence[Part]
    anchor: str = ""
    intro: str = ""
    level: Literal[2, 3] = 2
    label: str = ""
    template: ClassVar[str] = "section.html"


@dataclass(frozen=True)
class Page(Part):
    """A whole page.

    Attributes:
        title: The question that it answers.
        lead: A sentence on what was looked at.
        verdicts: The answers, at the top.
        sections: What they rest on.
        foot: A line at the end, such as version and date.
        aside: A part beside or below the verdicts, such as what they do not prove.
    """

    title: str
    lead: str
    verdicts: Sequence[Callout]
    sections: Sequence[Section]
    foot: str = ""
    aside: Part | None = None
    template: ClassVar[str] = "page.html"

    def extra(self) -> dict[str, Any]:
        """Style, script, and the policy that lets nothing else in."""
        script = asset("page.js")
        return {"style": asset("page.css"), "script": script, "script_hash": content_hash(script)}

    def write(self, path: Path) -> None:
        """Write the page in one atomic step; folders are made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        partial.write_text(Markup(self.__html__()), encoding="utf-8")
        partial.replace(path)
