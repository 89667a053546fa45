"""The real images that a run scores highest, beside the synthetic ones nearest to them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import OmegaConf

from gansfp.data.benchmark import load_benchmark
from gansfp.errors import UserError
from gansfp.features.neighbours import nearest
from gansfp.report.parts import Callout, Comparison, Gallery, Part
from gansfp.report.pictures import LARGEST
from gansfp.report.tables import Cell, Column, Row, Table, cell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.report.study import Entry, Study

PAIRS = 6
PATIENTS = 200
PATIENTS_SHOWN = 10
_OF_BENCHMARK = ("root", "train_dir", "test_dir", "groups", "resize", "bits16", "cache_dir",
                 "generated_from")  # fmt: skip


def exposed(study: Study, entry: Entry, pairs: int = PAIRS) -> list[Part]:
    """Show the test images that an entry scores highest, a patient once.

    Args:
        study: Of membership.
        entry: Whose scores rank the images.
        pairs: How many images.

    Returns:
        A gallery; or a note that says why there are no pictures.
    """
    evidence = entry.evidence
    if evidence is None:
        return []
    try:
        benchmark = _benchmark(entry)
        ranked = _first_of_patients(np.argsort(-evidence.score(), kind="stable"), evidence.test)
        chosen = ranked[:pairs]
        names = evidence.test["sample_id"].to_numpy().astype(str)[chosen]
        rows = _rows(benchmark, names)
        synthetic = benchmark.rows(role="generated")
        if not len(synthetic):
            raise UserError("there is no synthetic image in this benchmark")
        distance, where = _nearest(benchmark, rows, synthetic)
    except (UserError, OSError, ValueError) as error:
        return [Callout("note", "The images cannot be shown.", str(error))]
    comparisons = [
        Comparison(
            benchmark.images(rows[k : k + 1])[0],
            benchmark.images(synthetic[where[k : k + 1]])[0],
            _short(names[k]),
            _short(str(benchmark.index.frame["sample_id"].iloc[synthetic[where[k]]])),
            _notes(entry, int(chosen[k]), k + 1, len(evidence.test), float(distance[k])),
        )
        for k in range(len(chosen))
    ]
    reduced = max(benchmark.image_size) > LARGEST
    caption = (
        f"The {len(chosen)} test images that {entry.name} scores highest"
        f"{', one a patient' if evidence.groups is not None else ''}; beside each the synthetic "
        "image that is nearest in pixels, and their difference: mid-grey where they agree, bright "
        "where the real image is brighter. A similar pair is what a leak can look like; anatomy "
        "alone makes pairs similar, too."
        f"{f' Shown reduced to {LARGEST} pixels.' if reduced else ''}"
    )
    return [Gallery(comparisons, caption)]


def _benchmark(entry: Entry) -> Benchmark:
    config = entry.config
    if config is None or config.get("data") is None:
        raise UserError("the run folder does not say where its images are")
    data: dict[str, Any] = OmegaConf.to_container(config.data, resolve=True)  # type: ignore[assignment]
    known = {key: data[key] for key in _OF_BENCHMARK if data.get(key) is not None}
    return load_benchmark(entry.row["task"], **known)


def _rows(benchmark: Benchmark, names: NDArray[np.str_]) -> NDArray[np.int64]:
    place = {name: k for k, name in enumerate(benchmark.index.frame["sample_id"])}
    missing = [name for name in names if name not in place]
    if missing:
        raise UserError(f"{missing[0]} is not among the images any more")
    return np.array([place[name] for name in names], dtype=np.int64)


def _nearest(
    benchmark: Benchmark, rows: NDArray[np.int64], synthetic: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the nearest synthetic image of each row: root mean square distance, position."""
    queries, references = (
        benchmark.images(some).reshape(len(some), -1) for some in (rows, synthetic)
    )
    distance, index = nearest(queries, references, 1)
    return distance[:, 0] / np.sqrt(queries.shape[1]), index[:, 0]


def _first_of_patients(order: NDArray[np.int64], table: Any) -> NDArray[np.int64]:
    """Keep the first image of each patient in an order of rows."""
    groups = table["group"].to_numpy().astype(str)[order]
    _, first = np.unique(groups, return_index=True)
    return np.asarray(order[np.sort(first)])


def _notes(entry: Entry, row: int, rank: int, n: int, distance: float) -> list[str]:
    evidence = entry.evidence
    assert evidence is not None
    notes = [f"rank {rank} of {n} · {distance:.1f} grey levels apart (RMS)"]
    if evidence.groups is not None:
        notes.append(f"patient {evidence.groups[row]}")
    if evidence.truth is not None:
        truth = "▲ truly used" if evidence.truth[row] == 1 else "○ not used: a false alarm"
        notes.append(truth)
    return notes


def _short(name: str) -> str:
    return PurePosixPath(name).name


def patients(entry: Entry) -> Table | None:
    """List patients by their mean score; None where no patients are known."""
    evidence = entry.evidence
    if evidence is None or evidence.groups is None or evidence.task != "membership":
        return None
    table = evidence.test.assign(truth=-1 if evidence.truth is None else evidence.truth)
    by_patient = table.groupby("group").agg(
        n=("score", "size"), score=("score", "mean"), called=("decision", "sum"),
        low=("truth", "min"), high=("truth", "max"),
    ).sort_values("score", ascending=False)  # fmt: skip
    ranked: list[dict[str, Any]] = by_patient.reset_index().head(PATIENTS).to_dict("records")  # type: ignore[assignment]
    rows = [_patient(rank, one) for rank, one in enumerate(ranked, start=1)]
    columns = (
        Column("Patient"), Column("Rank", True), Column("Images", True),
        Column("Score", True, "Mean over the patient's test images; higher: more probably used."),
        Column("Called used", True), Column("Truth"),
    )  # fmt: skip
    cut = f" The first {PATIENTS} of {len(by_patient)}." if len(by_patient) > PATIENTS else ""
    return Table(
        f"Patients by mean score of {entry.name}", columns, rows, filterable=True,
        note=f"Patients of the test images.{cut}", limit=PATIENTS_SHOWN, narrow=True,
    )  # fmt: skip


def _patient(rank: int, one: dict[str, Any]) -> Row:
    called = f"{one['called']} of {one['n']}"
    return Row((
        Cell(str(one["group"]), code=True),
        cell(float(rank), ".0f"),
        cell(float(one["n"]), ".0f"),
        cell(float(one["score"]), ".4g"),
        Cell(called, sort=float(one["called"] / one["n"])),
        _truth_cell(int(one["low"]), int(one["high"])),
    ))  # fmt: skip


def _truth_cell(low: int, high: int) -> Cell:
    if low < 0:
        return Cell("not known")
    if low != high:
        return Cell("some images used", finding="hint")
    return Cell("used", finding="found") if low == 1 else Cell("not used", finding="clear")
