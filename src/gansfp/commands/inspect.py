"""`gansfp inspect`: what a dataset holds, every problem it has, and a contact sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.table import Table

from gansfp import build
from gansfp.data.checks import duplicates_within_roles
from gansfp.data.contact_sheet import image_sets, write_contact_sheet
from gansfp.data.near import COSINE, near_duplicates
from gansfp.errors import UserError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from gansfp.data.benchmark import Benchmark, Survey
    from gansfp.data.datamodule import BenchmarkDataModule


def run(config: DictConfig) -> None:
    """Read a dataset and print what is there.

    Args:
        config: `conf/inspect.yaml`, composed and checked.

    Raises:
        UserError: The dataset cannot be used; every reason was printed before.
    """
    build.trust(config.trust)
    data: BenchmarkDataModule = build.instantiate(config.data)
    survey = data.survey()
    console = Console(markup=False, highlight=False, emoji=False)
    if len(survey.benchmark):
        _print_contents(console, survey)
        _print_duplicates(console, survey.benchmark)
    if config.output is not None and len(survey.benchmark):
        path = Path(config.output).expanduser()
        write_contact_sheet(survey.benchmark, path)
        _say(console, f"\ncontact sheet: {path}")
    _print_problems(console, survey)


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True)


def _print_contents(console: Console, survey: Survey) -> None:
    benchmark = survey.benchmark
    known = benchmark.has_groups
    groups = f"{benchmark.index.frame['group'].nunique():,}" if known else "not known"
    _say(console, f"{benchmark.task}: {len(benchmark):,} images, groups: {groups}")
    for split, folder in survey.layout.folders.items():
        _say(console, f"{split}: {folder}")
    console.print(_contents_table(benchmark))
    if survey.layout.ignored:
        count = len(survey.layout.ignored)
        _say(console, f"{count} other files not read, such as {survey.layout.ignored[0]}")


def _contents_table(benchmark: Benchmark) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("split", "role", "label"):
        table.add_column(name, no_wrap=True)
    for name in ("images", "groups"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("size", no_wrap=True)
    table.add_column("colour type", no_wrap=True)
    frame = benchmark.index.frame
    for (split, role, label), rows in image_sets(benchmark).items():
        part = frame.iloc[rows]
        sizes = part["width"].astype(str) + " x " + part["height"].astype(str)
        groups = f"{part['group'].nunique():,}" if benchmark.has_groups else "-"
        table.add_row(
            split, role, label, f"{len(part):,}", groups, _counts(sizes), _counts(part["mode"])
        )
    return table


def _counts(values: pd.Series[str]) -> str:
    """The values with how often each occurs; one value alone stands without a number."""
    counts = values.value_counts()
    if len(counts) == 1:
        return str(counts.index[0])
    shown = [f"{name} ({count})" for name, count in counts.head(3).items()]
    return ", ".join(shown) + (f", {len(counts) - 3} more" if len(counts) > 3 else "")


def _print_duplicates(console: Console, benchmark: Benchmark) -> None:
    copies = duplicates_within_roles(benchmark.index.frame)
    _say(console, "\nexact copies inside a set: " + ("none" if copies.empty else ""))
    for split, role, count, example in copies.itertuples(index=False):
        _say(console, f"  {split} {role}: {count:,} ({example})")
    _say(console, f"\nnear-duplicates between sets (thumbnails with cosine >= {COSINE}):")
    for pair in near_duplicates(benchmark):
        left, right = " ".join(pair.left), " ".join(pair.right)
        _say(
            console,
            f"  {left} in {right}: {pair.count:,} of {pair.total:,}, "
            f"closest {pair.cosine:.3f} ({pair.example[0]} ~ {pair.example[1]})",
        )


def _print_problems(console: Console, survey: Survey) -> None:
    count = len(survey.problems)
    if not count:
        _say(console, "no problems: this dataset can be used")
        return
    _say(console, f"\n{count} problem{'s' if count > 1 else ''}:")
    for problem in survey.problems:
        _say(console, f"  - {problem}")
    noun = "problem makes" if count == 1 else "problems make"
    raise UserError(f"{count} {noun} this dataset unusable (listed above)")
