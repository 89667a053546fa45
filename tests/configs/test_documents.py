"""docs/methods.md has each recipe once, with the recorded numbers; links lead somewhere."""

from __future__ import annotations

import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "conf" / "experiment"
METHODS = ROOT / "src" / "gansfp" / "methods"
PAGE = ROOT / "docs" / "methods.md"
RESULTS = ROOT / "experiments"
DOCUMENTS = sorted(
    path
    for path in (
        ROOT / "README.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "conf").rglob("*.md"),
        *(ROOT / "src").rglob("*.md"),
        *(ROOT / "benchmarks").rglob("*.md"),
        *RESULTS.rglob("*.md"),
    )
)
SMALL = "networks.weights=lite networks.size=64"


def recipes() -> list[str]:
    return sorted(
        str(path.relative_to(EXPERIMENTS).with_suffix("")) for path in EXPERIMENTS.rglob("*.yaml")
    )


def table_rows(text: str) -> list[dict[str, str]]:
    """Read the page's tables of recipes: one dictionary a row, by the words of the heading."""
    rows: list[dict[str, str]] = []
    head: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            head = []
        elif not head:
            head = cells
        elif head[0] == "recipe" and set(cells) != {"---"}:
            rows.append(dict(zip(head, cells, strict=True)))
    return [{**row, "recipe": row["recipe"].strip("`")} for row in rows]


ROWS = table_rows(PAGE.read_text("utf-8"))


def records(name: str) -> list[dict[str, str]]:
    with (RESULTS / name / "results.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def recorded() -> dict[tuple[str, str], str]:
    """Write each recorded number as the page must, by recipe and column."""
    found: dict[tuple[str, str], str] = {}
    for row in records("embedded"):
        if row["task"] == "membership" and row["seeds"] == "1":
            found[row["experiment"], row["study"].removeprefix("membership-")] = score(row, "kappa")
    for row in records("beyond"):
        found[f"beyond/{row['recipe']}", row["benchmark"]] = score(row, "kappa")
    for row in records("table2"):
        found[row["experiment"], row["study"].removeprefix("table2-")] = score(row, "kappa")
    for row in records("embedded_attribution"):
        if row["changes"] in ("", SMALL):
            column = "same generators" if row["study"].endswith("-A") else "other generators"
            found[row["experiment"], column] = score(row, "accuracy")
    return found


def score(row: dict[str, str], metric: str) -> str:
    value, low, high = (f"{float(row[metric + end]):.3f}" for end in ("", "_low", "_high"))
    text = f"{value} [{low}, {high}]".replace("-0.000", "0.000")
    text += " (T)" if row.get("transductive") == "True" else ""
    return text + (" *" if row["valid"] == "False" else "")


def published() -> dict[str, str]:
    """Read the contest's printed kappa (table 2) and accuracy (table 3) of each run."""
    found: dict[str, str] = {}
    for table, metric, digits in (("table2", "kappa", 3), ("table3", "accuracy", 4)):
        path = ROOT / "src" / "gansfp" / "evaluation" / f"{table}.csv"
        with path.open(encoding="utf-8") as file:
            found |= {
                row["run"]: f"{float(row[metric]):.{digits}f}" for row in csv.DictReader(file)
            }
    return found


def test_the_page_of_the_methods_has_each_recipe_once() -> None:
    counted = Counter(row["recipe"] for row in ROWS)
    assert sorted(counted) == recipes()
    assert [name for name, times in counted.items() if times > 1] == []


def test_the_page_names_the_published_runs() -> None:
    scores = published()
    for row in ROWS:
        recipe = yaml.safe_load((EXPERIMENTS / f"{row['recipe']}.yaml").read_text("utf-8"))
        run = recipe.get("published_run") or ""
        assert (row["recipe"], row["run"]) == (row["recipe"], run)
        assert (row["recipe"], row["published"]) == (row["recipe"], scores.get(run, ""))


def test_the_page_has_the_numbers_of_the_records() -> None:
    shown = {
        (row["recipe"], column): row[column]
        for row in ROWS
        for column in ("ddpm_long", "gan", "null", "same generators", "other generators")
        if row.get(column)
    }
    columns = {column for row in ROWS for column in row}
    expected = {key: text for key, text in recorded().items() if key[1] in columns}
    wrong = {key for key in shown.keys() | expected.keys() if shown.get(key) != expected.get(key)}
    assert {key: expected.get(key, "") for key in wrong} == {}, "what docs/methods.md must say"
    assert len(shown) > 100


def test_each_method_has_a_readme_that_the_page_links() -> None:
    folders = [path.parent for path in METHODS.glob("*/__init__.py")]
    folders += [METHODS.parent / name for name in ("ensembles", "shadows", "audit")]
    linked = {(PAGE.parent / target).resolve() for target, _ in links(PAGE)}
    assert [folder.name for folder in folders if folder / "README.md" not in linked] == []


def links(document: Path) -> list[tuple[str, str]]:
    """Find the relative links of a document, pictures too: path and anchor."""
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    parts = [target.partition("#") for target in targets if "://" not in target]
    return [(path, anchor) for path, _, anchor in parts]


def anchors(document: Path) -> set[str]:
    """Name the headings as GitHub's links do."""
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_somewhere(document: Path) -> None:
    for path, anchor in links(document):
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document}: {path}"
        assert not anchor or anchor in anchors(target), f"{document}: {path}#{anchor}"


def test_the_links_are_found() -> None:
    assert ("methods.md", "") in links(ROOT / "docs" / "architecture.md")
    assert sum(len(links(document)) for document in DOCUMENTS) > 100
