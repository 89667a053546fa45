"""Draws docs/embedded.png: what the embedded benchmarks hold, two pixels of the page a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from gansfp.data.decode import decode_image
from gansfp.data.embedded import resolve

SHOWN, SCALE, MARGIN, GAP = 10, 2, 150, 4
MEMBERSHIP = "embedded:membership"
ROWS = {
    "real images": f"{MEMBERSHIP}/gan/train/real_used",
    "null": f"{MEMBERSHIP}/null/test/generated",
    "gan": f"{MEMBERSHIP}/gan/test/generated",
    "ddpm_short": f"{MEMBERSHIP}/ddpm_short/test/generated",
    "ddpm_long": f"{MEMBERSHIP}/ddpm_long/test/generated",
}
SUBSETS = "embedded:attribution/{}/train/generated"


def read(place: str) -> list[np.ndarray]:
    """Read the images of a folder in natural order."""
    folder = Path(str(resolve(place)))
    paths = sorted(folder.glob("*.png"), key=lambda path: int(path.stem.rsplit("_", 1)[1]))
    return [decode_image(path).pixels for path in paths]


def exposed(count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Find the labelled members of ddpm_long that have the nearest synthetic images."""
    members = read(f"{MEMBERSHIP}/ddpm_long/train/real_used")
    made = [image for split in ("train", "test")
            for image in read(f"{MEMBERSHIP}/ddpm_long/{split}/generated")]  # fmt: skip
    real, drawn = (np.stack(images).reshape(len(images), -1).astype(float)
                   for images in (members, made))  # fmt: skip
    squared = (real**2).sum(1)[:, None] + (drawn**2).sum(1) - 2 * real @ drawn.T
    chosen = squared.min(axis=1).argsort()[:count]
    return [members[k] for k in chosen], [made[squared[k].argmin()] for k in chosen]


def main() -> None:
    """Lay the rows out and write the picture."""
    rows = {name: read(place)[:SHOWN] for name, place in ROWS.items()}
    rows["most exposed of\nddpm_long"], rows["their nearest\nsynthetic images"] = exposed(SHOWN)
    for name in ("one_population", "mixed_regions"):
        place = SUBSETS.format(name)
        for label in sorted(path.name for path in Path(str(resolve(place))).iterdir()):
            rows[f"{name}\n{label.removeprefix('gen_')}"] = read(f"{place}/{label}")[:SHOWN]
    side = 64 * SCALE
    page = Image.new("L", (MARGIN + SHOWN * (side + GAP), len(rows) * (side + GAP)), 255)
    draw = ImageDraw.Draw(page)
    for row, (name, images) in enumerate(rows.items()):
        top = row * (side + GAP)
        draw.text((8, top + side // 2 - 16), name, fill=0, font_size=16)
        for column, image in enumerate(images):
            tile = Image.fromarray(image).resize((side, side), Image.Resampling.NEAREST)
            page.paste(tile, (MARGIN + column * (side + GAP), top))
    page.save(Path(__file__).parents[2] / "docs" / "embedded.png", optimize=True)


if __name__ == "__main__":
    main()
