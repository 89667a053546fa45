"""An audit as a page: a summary that a board can read, and what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import gansfp
from gansfp.audit import summary
from gansfp.report.parts import (
    Callout,
    Code,
    Comparison,
    Facts,
    Figure,
    Gallery,
    Page,
    Part,
    Points,
    Prose,
    Section,
)
from gansfp.report.plots import Axis, Kind, Marker, Plot, Series
from gansfp.report.tables import Cell, Column, Row, Table, cell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from gansfp.audit.sets import AuditSets

QUESTION = "Does this synthetic set give patients away?"
BARS = 30
PICTURES = 24
SHOWN = 20

ANSWERS = {
    "copies": ("found", "Yes: real images are in it, pixel by pixel."),
    "leak": ("found", "Yes, this set leaks."),
    "no_leak_seen": ("clear", "No leak was seen."),
    "inconclusive": ("invalid", "Nothing can be concluded."),
}


def build_page(
    facts: dict[str, Any],
    scores: NDArray[np.float64] | None = None,
    labels: NDArray[np.int64] | None = None,
    sets: AuditSets | None = None,
    command: str | None = None,
) -> Page:
    """Make the page of an audit.

    Args:
        facts: What `audit.json` holds.
        scores: Of real images and non-members, shape (n,), for the histogram; None: it is left out.
        labels: 1 for a real image, 0 for a non-member, shape (n,).
        sets: The images, where the page may show patients' images; None: it shows none.
        command: What was typed.
    """
    tested = "set" in facts
    sections = [
        *(_tested(facts, scores, labels, sets) if tested else []),
        Section("Near copies", _near_copies(facts), "copies", "A description, not a test."),
        Section("How this was done", _method(facts, command), "method"),
    ]
    return Page(
        title=QUESTION,
        lead=summary.asked(facts),
        verdicts=list(_verdicts(facts)),
        sections=sections,
        foot=f"gansfp {gansfp.__version__}. Made on this machine; nothing was sent anywhere.",
        aside=Points("What this does not prove", _limits(facts, shows_images=sets is not None)),
    )


def _verdicts(facts: dict[str, Any]) -> Iterable[Callout]:
    finding, title = ANSWERS[facts["verdict"]]
    if "set" not in facts:
        yield Callout(finding, title, summary.without_nonmembers(facts)[0], label="The set")  # type: ignore[arg-type]
        return
    found, exposure, unit = facts["set"], facts["exposure"], facts["exposure"]["unit"]
    numbers = [
        ("p-value", summary.p_text(found["p"])),
        ("given away, at least", f"{found['share']['low']:.0%}"),
        ("estimate", f"{found['share']['value']:.0%}"),
    ]
    yield Callout(finding, title, summary.whole(facts), numbers, "The set", "set")  # type: ignore[arg-type]
    called = exposure["called"]
    yield Callout(
        "found" if called else "clear",
        f"{called} of {exposure['tested']} {unit}s can be named."
        if called
        else f"No single {unit} can be named.",
        summary.named(facts),
        label=f"Which {unit}s",
        link="exposed" if called else "power",
    )
    yield Callout("note", "What could have been seen", summary.power(facts), label="Power",
                  link="power")  # fmt: skip
    for text in summary.warnings(facts):
        yield Callout("invalid", "Read the answers with care.", text.removeprefix("WARNING: "))
    if "canaries" in facts:
        yield Callout("note", "Canaries", summary.canaries(facts["canaries"]), label="Canaries")
    if "filter" in facts:
        after = facts["filter"]["after"]
        still = after["p"] <= 0.05 or after["called"]
        title = "The filtered set still leaks." if still else "After the filter no leak is seen."
        yield Callout("found" if still else "clear", title, summary.filtering(facts["filter"])[0],
                      label="Filter", link="filter")  # fmt: skip


def _tested(
    facts: dict[str, Any],
    scores: NDArray[np.float64] | None,
    labels: NDArray[np.int64] | None,
    sets: AuditSets | None,
) -> list[Section]:
    sections = []
    if scores is not None and labels is not None:
        sections.append(Section("The set as a whole", [_histogram(scores, labels)], "set"))
    exposed = facts["exposure"]["exposed"]
    if exposed:
        parts: list[Part] = [_exposed_table(facts)]
        if sets is not None:
            parts.append(_gallery(exposed, sets))
        sections.append(Section("Who is exposed", parts, "exposed", summary.named(facts)))
    sections.append(Section("What could have been seen", _power(facts), "power", label="Power"))
    if "filter" in facts:
        texts = Prose(summary.filtering(facts["filter"]))
        sections.append(Section("Holding images back", [texts, _filter(facts)], "filter",
                                label="Filter"))  # fmt: skip
    if "plan" in facts:
        sections.append(Section("Releasing less", _plan(facts), "plan", label="Plan"))
    return sections


def _histogram(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> Figure:
    low, high = np.quantile(scores, [0.002, 0.998])
    edges = np.linspace(low, max(high, low + 1e-9), BARS + 1)
    series = []
    for name, label in (("used", 1), ("not used", 0)):
        counts, _ = np.histogram(np.clip(scores[labels == label], edges[0], edges[-1]), edges)
        shares = counts / max(1, int((labels == label).sum()))
        kind: Kind = "bars" if label else "outline"
        series.append(Series(name, edges.tolist(), shares.tolist(), kind))
    return Figure(
        Plot(
            Axis("score: nearer to the synthetic images →"),
            Axis("share of images", 0, None, percent=True),
            series,
        ),
        "Used images and others",
        "If the set leaks nothing, the two have one shape. Outliers are in the bars at the ends.",
        "Histogram of the scores of used images and of non-members",
    )


def _exposed_table(facts: dict[str, Any]) -> Table:
    exposure = facts["exposure"]
    rows = [
        Row(
            (
                Cell(row["patient"], code=True),
                cell(float(len(row["images"])), ".0f"),
                cell(row["p"], ".2g"),
                cell(row["adjusted"], ".2g"),
                cell(row["nearest"]["correlation"], ".3f"),
                Cell(row["nearest"]["synthetic"], code=True),
                Cell(row["nearest"]["real"], code=True),
            )
        )
        for row in exposure["exposed"]
    ]
    columns = (
        Column(exposure["unit"].capitalize()),
        Column("Images", True),
        Column("p", True, "Chance that someone not used scores as high"),
        Column("FDR", True, "False discovery rate at which this one would just be named"),
        Column("Correlation", True, "Of the nearest pair, after a shift of up to two pixels"),
        Column("Nearest synthetic image"),
        Column("Real image"),
    )
    return Table("Those named, clearest first", columns, rows, filterable=True, limit=SHOWN)


def _gallery(exposed: list[dict[str, Any]], sets: AuditSets) -> Gallery:
    real = {name: row for row, name in enumerate(sets.real.names)}
    synthetic = {name: row for row, name in enumerate(sets.synthetic.names)}
    comparisons = [
        Comparison(
            sets.real.pixels[real[row["nearest"]["real"]]],
            sets.synthetic.pixels[synthetic[row["nearest"]["synthetic"]]],
            row["nearest"]["real"],
            row["nearest"]["synthetic"],
            (f"correlation {row['nearest']['correlation']:.3f}", row["patient"]),
        )
        for row in exposed[:PICTURES]
    ]
    return Gallery(
        comparisons,
        "Real images of patients, the nearest synthetic ones, and the difference: mid-grey where "
        "they agree. Keep this page as you keep these images.",
    )


def _power(facts: dict[str, Any]) -> list[Part]:
    planted, unit = facts["power"]["planted"], facts["exposure"]["unit"]
    parts: list[Part] = [Prose([summary.power(facts)])]
    if len(planted["counts"]) > 1:
        fewest = facts["power"]["fewest_calls"]
        parts.append(
            Figure(
                Plot(
                    Axis(f"{unit}s whose copies were planted", 0),
                    Axis("of these, named", 0, 1, percent=True),
                    [Series("planted copies", planted["counts"], planted["found"], "points")],
                    [Marker(fewest, "fewest that can be named →")],
                ),
                "How many must be exposed to be found",
                f"Copies with noise of {planted['noise']:g} grey levels and a shift of up to "
                f"{planted['shift']} pixel, in memory alone; {planted['repeats']} draws each.",
            )
        )
    return parts


def _filter(facts: dict[str, Any]) -> Table:
    rows = [
        Row(
            (
                Cell(name),
                cell(found["p"], ".2g"),
                cell(found["auroc"]["value"], ".3f"),
                cell(float(found["called"]), ".0f"),
                cell(found["reverse_p"], ".2g"),
            )
        )
        for name, found in (
            ("before", facts["filter"]["before"]),
            ("after", facts["filter"]["after"]),
        )
    ]
    columns = (
        Column("Synthetic set"),
        Column("p", True),
        Column("AUROC", True),
        Column("Named", True),
        Column("p, reversed", True, "That used images are farther away than others"),
    )
    return Table("To non-members that had no part in the filter", columns, rows, narrow=True)


def _plan(facts: dict[str, Any]) -> list[Part]:
    rows = [
        Row(
            (
                cell(float(row["released"]), ",.0f"),
                Cell("filtered" if row["filtered"] else "as it is"),
                cell(float(row["patients"]), ",.0f"),
                cell(row["auroc"], ".3f"),
                cell(row["p"], ".2g"),
                cell(row["called"], ".1f"),
                cell(row["share"], ".0%"),
                cell(row["kid"], ".4f"),
            )
        )
        for row in facts["plan"]
    ]
    columns = (
        Column("Released", True),
        Column("Set"),
        Column("Asked about", True),
        Column("AUROC", True),
        Column("p", True),
        Column("Named", True),
        Column("Given away, at least", True),
        Column("KID", True, "Kernel inception distance to the non-members: lower is better"),
    )
    note = (
        "Medians over random draws of the release. Fewer patients asked about are named of fewer; "
        "what a generator trained on fewer or more patients gives away needs another generator."
    )
    return [Table("Smaller releases, and fewer patients", columns, rows, note=note)]


def _near_copies(facts: dict[str, Any]) -> list[Part]:
    found = facts["description"]
    parts: list[Part] = [Prose(summary.described(facts))]
    if found["pairs"]:
        rows = [
            Row(
                (
                    Cell(pair["synthetic"], code=True),
                    Cell(pair["real"], code=True),
                    cell(pair["correlation"], ".3f"),
                    cell(pair["ratio"], ".3f"),
                )
            )
            for pair in found["pairs"]
        ]
        columns = (
            Column("Synthetic image"),
            Column("Real image"),
            Column("Correlation", True),
            Column("Distance ratio", True, "To the nearest over to the next patient"),
        )
        parts.append(Table("Near copies", columns, rows, limit=SHOWN, filterable=True))
    return parts


def _method(facts: dict[str, Any], command: str | None) -> list[Part]:
    asked, inputs = facts["asked"], facts["inputs"]
    pairs = [
        ("Compared by", f"{asked['attack']['statistic']}: {', '.join(asked['attack']['views'])}"),
        ("Size", " x ".join(map(str, inputs["size"])) + " pixels"),
        *((name, str(asked[name])) for name in ("real", "synthetic", "nonmembers") if asked[name]),
    ]
    parts: list[Part] = [Facts(pairs)]
    return [*parts, Code(command, "Command")] if command else parts


def _limits(facts: dict[str, Any], shows_images: bool) -> list[str]:
    lines = [
        "No leak seen means: not by this attack, not with so few non-members. Another attack, or "
        "one on the generator itself, may see more.",
        "The error rates hold where non-members come from the same population as the used images, "
        "on average over draws of both.",
        "A false discovery rate bounds how many of the names are wrong, not how likely it is for "
        "one of them.",
    ]
    if shows_images:
        lines.append("This page shows images of real patients. Keep it as you keep these.")
    elif facts["exposure"]["called"] if "exposure" in facts else False:
        lines.append("This page names files of real patients, but shows none of their images.")
    return lines
