"""The parts of a page: what goes in as text comes out as text; drawings show their numbers."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gansfp.report import pictures
from gansfp.report.parts import (
    Callout,
    Code,
    Columns,
    Comparison,
    Details,
    Facts,
    Figure,
    Gallery,
    Page,
    Points,
    Prose,
    Section,
)
from gansfp.report.plots import Axis, Marker, Plot, Series, svg
from gansfp.report.tables import Cell, Column, Matrix, Table, cell, interval_cell, row

EVIL = """<img src=x onerror=alert(1)>.png"'</script></style>{{ 7*7 }}"""


class Reader(HTMLParser):
    """Collects elements and visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(str(html))
    return reader


def everything(text: str) -> Page:
    """A page that holds every part, with the text wherever a text goes."""
    grey = np.zeros((4, 6), np.uint8)
    plot = Plot(
        Axis(text), Axis(text), (Series(text, [0, 1], [0, 1]),), (Marker(0.5, text),)
    )  # fmt: skip
    mark = interval_cell(0.5, 0.2, 0.7, (0, 1), 0.1, (0, 0.3))
    table = Table(
        text, (Column(text, help=text), Column("b", number=True)),
        (row(Cell(text, note=text, finding="found"), mark, run=text, group=text),
         row(Cell(text, link=text), cell(None), run=text, group=text),
         row(Cell(text, code=True), cell(1.5))),
        filterable=True, hideable=True, note=text, limit=2)  # fmt: skip
    parts = (
        Prose((text,)), Facts(((text, text),)), Points(text, (text,)),
        Callout("hint", text, text, ((text, text),), text, text), table,
        Matrix(text, (text, "b"), ((1, 2), (3, 4)), text, text),
        Columns((Figure(plot, text, text, text),)),
        Gallery((Comparison(grey, grey, text, text, (text,), "found"),), text), Code(text, text),
        Details(text, (Prose((text,)),), text, text, text))  # fmt: skip
    section = Section(text, parts, text, text, 2, text)
    return Page(text, text, (Callout("found", text),), (section,), text, Prose((text,)))


def test_every_text_of_every_part_is_data() -> None:
    plain, hostile = (read(everything(text).__html__()) for text in ("name", EVIL))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert [set(one) for _, one in hostile.tags] == [set(one) for _, one in plain.tags]
    assert hostile.text.count(EVIL) == plain.text.count("name") - script_and_style("name", plain)
    images = [one["src"] for tag, one in hostile.tags if tag == "img"]
    assert len(images) == 3
    assert all(str(source).startswith("data:image/png;base64,") for source in images)


def script_and_style(word: str, page: Reader) -> int:
    """Count a word in the page's own script and style, which hold no data."""
    empty = read(Page("", "", (), ()).__html__())
    return empty.text.count(word)


def test_a_page_asks_for_nothing_from_outside(tmp_path: Path) -> None:
    everything("name").write(tmp_path / "new" / "page.html")
    html = (tmp_path / "new" / "page.html").read_text(encoding="utf-8")
    assert not re.findall(
        r"(?:src|href)=[\"']?(?![\"'#]|data:)[^\s>]+|(?:src|href)=\"(?!#|data:)", html
    )
    assert not re.findall(r"url\((?!data:)", html)
    assert "http" not in re.sub(r"http-equiv", "", html)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]


def test_a_table_says_what_its_columns_sort_by() -> None:
    table = Table("t", (Column("a"), Column("b", number=True)), (row(cell("x"), cell(2.25)),))
    html = table.__html__()
    assert html.count('aria-sort="none"') == 2
    assert 'data-sort="2.25"' in html
    assert "<caption>t</caption>" in html
    with pytest.raises(ValueError, match="1 cells in a table of 2"):
        Table("t", (Column("a"), Column("b")), (row(cell("x")),))


def test_an_interval_is_drawn_to_scale() -> None:
    html = interval_cell(0.5, 0.25, 0.75, (0.0, 1.0), 0.0, (-0.1, 0.1)).mark.__html__()  # type: ignore[union-attr]
    (interval,) = re.findall(r'class="interval" x1="([\d.]+)" x2="([\d.]+)"', html)
    assert interval == ("25.0", "75.0")
    assert re.findall(r'class="band" x="([\d.]+)" y="0" width="([\d.]+)"', html) == [
        ("0.0", "10.0")
    ]
    assert cell(float("nan")) == cell(None) == Cell("")


def test_a_plot_draws_its_points_to_scale() -> None:
    plot = Plot(Axis("x", 0, 10), Axis("y", 0, 1), (Series("a", [0, 5, 10], [0, 0.5, 1], "points",
                [0, 0.25, 1], [0, 0.75, 1]),))  # fmt: skip
    drawn = svg(plot)
    places = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x1 == pytest.approx((x0 + x2) / 2, abs=0.1)
    assert y1 == pytest.approx((y0 + y2) / 2, abs=0.1)
    assert y0 > y2  # upwards
    ends = re.findall(r'y1="([\d.]+)" y2="([\d.]+)"/><line', drawn.split('class="series')[1])
    assert float(ends[1][0]) == pytest.approx((y0 + y1) / 2, abs=0.1)


def test_a_histogram_closes_on_its_base_and_steps_are_stairs() -> None:
    bars = Plot(Axis("x"), Axis("n"), (Series("a", [0, 1, 2], [3, 4], "bars"),))
    (path,) = re.findall(r'<path d="([^"]+)"', svg(bars))
    assert re.fullmatch(r"M[\d.]+ [\d.]+(V[\d.]+H[\d.]+){2}V[\d.]+Z", path)
    base = re.match(r"M[\d.]+ ([\d.]+)", path).group(1)  # type: ignore[union-attr]
    assert path.endswith(f"V{base}Z")
    steps = Plot(Axis("x"), Axis("y"), (Series("a", [0, 0, 1], [0, 1, 2], "steps"),))
    (path,) = re.findall(r'<path d="([^"]+)"', svg(steps))
    corners = [tuple(map(float, pair.split())) for pair in path[1:].split("L")]
    (x0, y0), (x1, y1), (x2, y2) = corners  # the first two pieces are one, upwards
    assert x0 == x1
    assert y0 > y1 == y2
    assert x2 > x1


def test_series_differ_by_more_than_colour() -> None:
    style = (Path(pictures.__file__).parent / "templates" / "page.css").read_text()
    dashes = re.findall(r"\.series\.s(\d) path \{ stroke-dasharray: ([^;]+);", style)
    assert {number for number, _ in dashes} == set("23456")  # the first one is solid
    assert len({dash for _, dash in dashes}) == 5


def test_a_difference_is_grey_where_images_agree() -> None:
    first = np.array([[0, 255, 100]], np.uint8)
    second = np.array([[0, 0, 201]], np.uint8)
    assert pictures.difference(first, second).tolist() == [[128, 255, 78]]  # 77.5 to even
    with pytest.raises(ValueError, match="differ"):
        pictures.difference(first, second.T)


def test_a_picture_survives_its_uri_and_large_ones_are_reduced() -> None:
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    assert np.array_equal(decoded(pictures.data_uri(pixels)), pixels)
    large = np.repeat(np.repeat(np.array([[0, 200]], np.uint8), 320, 0), 160, 1)
    assert decoded(pictures.data_uri(large)).shape == (160, 160)
    assert set(np.unique(decoded(pictures.data_uri(large)))) == {0, 200}


def decoded(uri: str) -> np.ndarray:
    content = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)))
