"""`gansfp report`: leaderboards of all runs below a folder, here and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from gansfp.errors import UserError
from gansfp.evaluation.leaderboard import BROKEN, leaderboard, render
from gansfp.evaluation.result import OFFICIAL

if TYPE_CHECKING:
    import pandas as pd
    from omegaconf import DictConfig

PAGE = "report.html"
FIGURES = "figures"
FILE_WIDTH = 132  # columns of a table that goes to a file or a pipe


def run(config: DictConfig) -> None:
    """Print a leaderboard for each task that has runs, and write the page, or figures.

    Args:
        config: `conf/report.yaml`, composed and checked: dir, members, output, figures.

    Raises:
        UserError: The folder is missing, holds no finished run, or the page cannot be written.
    """
    folder = Path(str(config.dir))
    if not folder.is_dir():
        raise UserError(f"dir={folder}: no such folder; name the one that holds the runs")
    frame = show(folder, members=bool(config.members))
    page = Path(str(config.output)).expanduser() if config.output else folder / PAGE
    write_page(frame, folder, page)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"page: {page}", markup=False)
    if config.figures:
        from gansfp.report.static import write_figures

        figures = page.parent / FIGURES
        console.print(f"figures: {write_figures(frame, figures)} files in {figures}", markup=False)


def write_page(frame: pd.DataFrame, folder: Path, page: Path) -> None:
    """Write the report page.

    Args:
        frame: What `show` returned.
        folder: Where the runs are.
        page: The file; folders are made.

    Raises:
        UserError: It cannot be written.
    """
    from gansfp.report.page import build

    built = build(frame, folder)
    try:
        built.write(page)
    except OSError as error:
        raise UserError(
            f"{page}: cannot be written ({error.strerror}); name another file: output=FILE.html"
        ) from error


def show(folder: Path, members: bool = False) -> pd.DataFrame:
    """Print the leaderboards of the runs below a folder.

    Args:
        folder: Where the runs are, at any depth.
        members: Also those that only vote in an ensemble.

    Returns:
        The leaderboard, as `gansfp.evaluation.leaderboard.leaderboard` made it.

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
    return frame
