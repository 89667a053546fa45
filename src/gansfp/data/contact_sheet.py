"""A contact sheet: a row of samples for each set of a benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark

TILE = 112
GAP = 4
COLUMNS = 8
CAPTION = 190
PAPER, INK, FAINT = 255, 0, 110


def image_sets(benchmark: Benchmark) -> dict[tuple[str, str, str], NDArray[np.int64]]:
    """Rows by split, role and label (empty where unknown), in the order of the index."""
    frame = benchmark.index.frame
    columns = (frame[name].to_numpy(dtype=object) for name in ("split", "role", "label"))
    sets: dict[tuple[str, str, str], list[int]] = {}
    for row, (split, role, label) in enumerate(zip(*columns, strict=True)):
        sets.setdefault((split, role, label or ""), []).append(row)
    return {name: np.array(rows, dtype=np.int64) for name, rows in sets.items()}


def draw_contact_sheet(benchmark: Benchmark) -> Image.Image:
    """Draw evenly spaced samples of every set, each row with its name and count.

    Args:
        benchmark: At least one image.

    Returns:
        A grey picture.
    """
    sets = image_sets(benchmark)
    width = CAPTION + COLUMNS * (TILE + GAP) + GAP
    sheet = Image.new("L", (width, len(sets) * (TILE + GAP) + GAP), PAPER)
    draw = ImageDraw.Draw(sheet)
    fonts = ImageFont.load_default(size=15), ImageFont.load_default(size=12)
    for line, ((split, role, label), rows) in enumerate(sets.items()):
        top = GAP + line * (TILE + GAP)
        name = f"{role} / {label}" if label and label not in role else role
        draw.text((10, top + TILE / 2 - 26), split, FAINT, fonts[1])
        draw.text((10, top + TILE / 2 - 9), _fitting(name, fonts[0]), INK, fonts[0])
        draw.text((10, top + TILE / 2 + 13), f"{len(rows):,} images", FAINT, fonts[1])
        for column, row in enumerate(spread(rows, COLUMNS)):
            tile = _tile(benchmark.store.pixels[row])
            left = CAPTION + column * (TILE + GAP)
            corner = left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2
            sheet.paste(tile, corner)
    return sheet


def write_contact_sheet(benchmark: Benchmark, path: Path) -> None:
    """Draw the sheet and save it as PNG; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_contact_sheet(benchmark).save(path, format="PNG")


def spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Pick `count` rows at even distances, first and last among them; all where there are fewer."""
    if len(rows) <= count:
        return rows
    return np.asarray(rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)])


def _fitting(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Cut a name so that it stays left of the pictures."""
    room = CAPTION - 20
    if font.getlength(name) <= room:
        return name
    while font.getlength(f"{name}..") > room:
        name = name[:-1]
    return f"{name}.."


def _tile(pixels: NDArray[np.uint8]) -> Image.Image:
    height, width = pixels.shape
    scale = TILE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smooth = Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX
    return Image.fromarray(np.ascontiguousarray(pixels)).resize(size, smooth)
