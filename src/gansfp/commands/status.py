"""`gansfp status`: what waits, runs, has finished or failed below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from gansfp.cluster.standing import Standing, counts, standings
from gansfp.errors import UserError
from gansfp.runtime.files import read_json

if TYPE_CHECKING:
    from omegaconf import DictConfig

FILE_WIDTH = 132  # columns of a table that goes to a file or a pipe


def run(config: DictConfig) -> None:
    """Print where every run and job stands, and the leaderboard so far.

    Args:
        config: `conf/status.yaml`, composed and checked: dir.

    Raises:
        UserError: The folder is missing, or holds neither run nor job.
    """
    folder = Path(str(config.dir))
    if not folder.is_dir():
        raise UserError(f"dir={folder}: no such folder; name the one that holds the runs")
    found = standings(folder)
    if not found:
        raise UserError(f"dir={folder}: no run and no job below it; `gansfp train` makes one")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    console.print(_table(found))
    console.print(", ".join(f"{number} {state}" for state, number in counts(found)))
    if any(_has_task(folder / one.name) for one in found if one.state == "finished"):
        from gansfp.commands import report

        console.print()
        report.show(folder)


def _has_task(run: Path) -> bool:
    return bool((read_json(run / "run.json") or {}).get("task"))


def _table(found: list[Standing]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("run", overflow="fold", min_width=24)
    table.add_column("state", no_wrap=True)
    table.add_column("done", justify="right", no_wrap=True)
    table.add_column("left", justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    for one in found:
        resumed = f", resumed {one.starts - 1}x" if one.starts > 1 else ""
        table.add_row(one.name, one.state + resumed, one.progress, one.time_left, one.note)
    return table
