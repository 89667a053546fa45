"""`gansfp report`: leaderboards of all runs below a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from gansfp.errors import UserError
from gansfp.evaluation.leaderboard import BROKEN, leaderboard, render
from gansfp.evaluation.result import OFFICIAL

if TYPE_CHECKING:
    from omegaconf import DictConfig

FILE_WIDTH = 132  # columns of a table that goes to a file or a pipe


def run(config: DictConfig) -> None:
    """Print a leaderboard for each task that has runs.

    Args:
        config: `conf/report.yaml`, composed and checked: dir, members.

    Raises:
        UserError: The folder is missing or holds no finished run.
    """
    folder = Path(str(config.dir))
    if not folder.is_dir():
        raise UserError(f"dir={folder}: no such folder; name the one that holds the runs")
    show(folder, members=bool(config.members))


def show(folder: Path, members: bool = False) -> None:
    """Print the leaderboards of the runs below a folder.

    Args:
        folder: Where the runs are, at any depth.
        members: Also those that only vote in an ensemble.

    Raises:
        UserError: There is no finished run.
    """
    frame = leaderboard(folder, members)
    if frame.empty:
        raise UserError(f"dir={folder}: no finished run below it; `gansfp train` makes one")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    for task in OFFICIAL:
        if (frame["task"] == task).any():
            console.print(render(frame, task))
    for row in frame.dropna(subset=["invalid_reason"]).to_dict("records"):
        console.print(f"INVALID {row['experiment']}: {row['invalid_reason']}", markup=False)
    if frame.attrs[BROKEN]:
        console.print(f"{frame.attrs[BROKEN]} broken results skipped")
