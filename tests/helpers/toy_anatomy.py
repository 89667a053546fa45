"""Draws toy chest slices of virtual patients: quick thorax-like pictures, not a CT simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

# Mean and spread over patients. Lengths in half image widths (the image spans -1 to 1, y down).
_PARAMETERS: dict[str, tuple[float, float]] = {
    "body_width": (0.86, 0.065),
    "body_height": (0.64, 0.055),
    "body_power": (2.35, 0.15),
    "body_x": (0.0, 0.03),
    "body_y": (-0.06, 0.04),
    "roll": (0.0, 0.04),
    "wave2": (0.0, 0.018),
    "wave3": (0.0, 0.014),
    "wave4": (0.0, 0.010),
    "wave5": (0.0, 0.007),
    "fat": (0.10, 0.03),
    "wall": (0.15, 0.015),
    "cavity_power": (2.2, 0.12),
    "mediastinum": (0.115, 0.020),
    "hilum": (0.09, 0.030),
    "hilum_y": (0.02, 0.06),
    "heart_x": (0.14, 0.04),
    "heart_y": (-0.10, 0.05),
    "heart_width": (0.27, 0.05),
    "heart_height": (0.22, 0.04),
    "heart_roll": (0.5, 0.25),
    "aorta_x": (0.13, 0.03),
    "aorta_radius": (0.075, 0.012),
    "spine_y": (0.60, 0.03),
    "spine_width": (0.135, 0.014),
    "airway_x": (-0.02, 0.03),
    "airway_radius": (0.035, 0.012),
    "liver_x": (-0.38, 0.08),
    "liver_y": (-0.05, 0.10),
    "liver_radius": (-0.14, 0.17),
    "ribs": (0.0, 1.0),
    "rib_gap": (0.55, 0.05),
    "table_y": (0.20, 0.10),
    "lung_level": (30.0, 7.0),
    "soft_level": (186.0, 5.0),
    "blood_level": (200.0, 13.0),
    "noise": (4.0, 0.8),
}
_NAMES = tuple(_PARAMETERS)
_VESSELS = 44
_VESSEL_LATENTS = 5
LATENTS = len(_NAMES) + _VESSELS * _VESSEL_LATENTS


def draw_patients(
    count: int, rng: np.random.Generator, shift: Mapping[str, float] | None = None
) -> Floats:
    """Draw virtual patients.

    Args:
        count: Number of patients.
        rng: Where chance comes from.
        shift: Parameters whose mean moves, in standard deviations between patients.

    Returns:
        Standard normal latents, shape (count, LATENTS), clipped to keep the anatomy whole.
    """
    latents = np.clip(rng.standard_normal((count, LATENTS)), -2.2, 2.2)
    for name, deviations in (shift or {}).items():
        latents[:, _NAMES.index(name)] += deviations
    return latents.astype(np.float32)


def draw_slices(
    patients: Floats, owner: NDArray[np.int64], rng: np.random.Generator, jitter: float = 0.35
) -> Floats:
    """Draw slices of patients: the patient's latents, moved a little for every slice.

    Args:
        patients: Latents of the patients, shape (P, LATENTS).
        owner: Which patient each slice shows, shape (n,).
        rng: Where chance comes from.
        jitter: Spread between slices of a patient, in standard deviations between patients.

    Returns:
        Latents of the slices, shape (n, LATENTS).
    """
    moved = patients[owner] + jitter * rng.standard_normal((len(owner), LATENTS))
    return moved.astype(np.float32)


def render(
    latents: Floats, size: int, rng: np.random.Generator, chunk: int = 64
) -> NDArray[np.uint8]:
    """Draw slices as images.

    Args:
        latents: Latents of the slices, shape (n, LATENTS).
        size: Side of the square images in pixels.
        rng: Where the scanner noise comes from.
        chunk: Images drawn at once; bounds the memory, changes no pixel.

    Returns:
        Grey levels, shape (n, size, size); roughly a window of -1000 to 400 HU.
    """
    images = np.empty((len(latents), size, size), np.uint8)
    for first in range(0, len(latents), chunk):
        part = latents[first : first + chunk]
        noise = rng.standard_normal((len(part), size, size)).astype(np.float32)
        images[first : first + chunk] = _render_chunk(part, size, noise)
    return images


class _Canvas:
    """Coordinates of an image in the patient's frame, and soft-edged shapes on them."""

    def __init__(self, values: Mapping[str, Floats], size: int) -> None:
        axis = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1)[None]
        x = axis[:, None, :] - values["body_x"]
        y = axis[:, :, None] - values["body_y"]
        cos, sin = np.cos(values["roll"]), np.sin(values["roll"])
        self.x = x * cos + y * sin
        self.y = y * cos - x * sin
        self.edge = 0.45 / size  # a boundary is about two pixels wide

    def inside(self, distance: Floats) -> Floats:
        """Turn a signed distance (negative inside) into a mask from 0 to 1."""
        mask: Floats = 1.0 / (1.0 + np.exp(np.clip(distance / self.edge / 1.2, -30, 30)))
        return mask

    def ellipse(
        self, x: Floats, y: Floats, width: Floats, height: Floats, roll: Floats | float = 0.0
    ) -> Floats:
        """Mask of a rotated ellipse."""
        cos, sin = np.cos(roll), np.sin(roll)
        u = ((self.x - x) * cos + (self.y - y) * sin) / width
        v = ((self.y - y) * cos - (self.x - x) * sin) / height
        return self.inside((np.sqrt(u * u + v * v) - 1) * np.minimum(width, height))


def _render_chunk(latents: Floats, size: int, noise: Floats) -> NDArray[np.uint8]:
    """Draw one chunk: body, wall, lungs, mediastinum, bones, vessels, scanner."""
    values = {
        name: np.float32(mean) + np.float32(spread) * latents[:, k, None, None]
        for k, (name, (mean, spread)) in enumerate(_PARAMETERS.items())
    }
    canvas = _Canvas(values, size)
    radius, angle = _body_radius(canvas, values)
    scale = np.minimum(values["body_width"], values["body_height"])
    body = canvas.inside((radius - 1) * scale)
    muscle = canvas.inside((radius - 1 + values["fat"]) * scale)
    cavity = _cavity(canvas, values)
    image = body * (158 + 0.25 * (values["soft_level"] - 158))
    image += muscle * (values["soft_level"] - image)
    image = _ribs(canvas, values, image, radius, angle, cavity)
    image = _chest(canvas, values, image, cavity, latents[:, len(_NAMES) :])
    image = np.maximum(image, 60 * _table(canvas, values) * (1 - body))
    grain = gaussian_filter(noise, (0, 0.6, 0.6)) * 1.8
    image = image + values["noise"] * grain * (0.35 + 0.65 * body)
    grey: NDArray[np.uint8] = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return grey


def _body_radius(canvas: _Canvas, values: Mapping[str, Floats]) -> tuple[Floats, Floats]:
    """Superelliptic radius (1 on the skin) with the patient's own waves, and the angle."""
    power = values["body_power"]
    u = np.abs(canvas.x / values["body_width"])
    v = np.abs(canvas.y / values["body_height"])
    radius = (u**power + v**power) ** (1 / power)
    angle = np.arctan2(canvas.y, canvas.x)
    waves = sum(
        values[f"wave{k}"] * np.cos(k * angle + k * k * values["wave2"] * 40) for k in range(2, 6)
    )
    return radius / (1 + waves), angle


def _cavity(canvas: _Canvas, values: Mapping[str, Floats]) -> Floats:
    """Inside of the rib cage."""
    power = values["cavity_power"]
    shrink = 1 - values["fat"] - values["wall"]
    width = values["body_width"] * shrink * 1.03
    height = values["body_height"] * shrink * 1.08
    u = np.abs(canvas.x / width)
    v = np.abs((canvas.y + 0.01) / height)
    return canvas.inside(((u**power + v**power) ** (1 / power) - 1) * height)


def _ribs(
    canvas: _Canvas,
    values: Mapping[str, Floats],
    image: Floats,
    radius: Floats,
    angle: Floats,
    cavity: Floats,
) -> Floats:
    """Bright pieces of arc in the wall, at the patient's own angles; sternum in front."""
    middle = 1 - values["fat"] - 0.55 * values["wall"]
    band = np.exp(-(((radius - middle) / 0.045) ** 2))
    beat = np.cos(7 * angle + 2.5 * values["ribs"] + 0.8 * np.sin(2 * angle + values["ribs"]))
    pieces = np.clip((beat - values["rib_gap"]) * 4, 0, 1)
    image = image + band * pieces * (1 - cavity) * 62
    sternum_y = -values["body_height"] * middle
    sternum = canvas.ellipse(
        np.zeros_like(sternum_y), sternum_y, 0.13 + 0 * sternum_y, 0.035 + 0 * sternum_y
    )
    return image + sternum * 0.8 * (232 - image)


def _chest(
    canvas: _Canvas,
    values: Mapping[str, Floats],
    image: Floats,
    cavity: Floats,
    vessels: Floats,
) -> Floats:
    """Lungs with vessels around a mediastinum with heart, aorta, airway and spine."""
    x, y = canvas.x, canvas.y
    height = values["body_height"]
    swell = np.exp(-(((y - values["hilum_y"]) / 0.13) ** 2)) * values["hilum"]
    back = np.clip((y / height - 0.35) * 0.20, 0, 0.1)
    front = np.clip((-y / height - 0.30) * 0.16, -0.08, 0.1)
    half_width = values["mediastinum"] + swell + back - front
    middle = canvas.inside(np.abs(x - 0.02) - half_width)
    heart_size = np.maximum(values["heart_width"], 0.12), np.maximum(values["heart_height"], 0.1)
    heart = canvas.ellipse(
        values["heart_x"], values["heart_y"], *heart_size, roll=values["heart_roll"]
    )
    liver = canvas.ellipse(
        values["liver_x"],
        values["liver_y"],
        np.maximum(values["liver_radius"], 0.01),
        np.maximum(values["liver_radius"] * 0.9, 0.01),
    )
    liver = liver * (values["liver_radius"] > 0.04)
    solid = np.maximum(np.maximum(middle, heart), liver)
    lungs = cavity * (1 - solid)
    tree = _vessels(canvas, values, vessels)
    air = values["lung_level"] + 9 * y / height  # blood sinks: the back is denser
    lung_image = air + tree * (values["soft_level"] - air)
    image = image + lungs * (lung_image - image)
    image = image + cavity * middle * (0.25 * (165 - values["soft_level"]))
    blood = values["blood_level"] + 6 * np.sin(9 * x + 20 * values["wave5"] * 30) * np.cos(7 * y)
    image = image + cavity * heart * (blood - image)
    image = image + cavity * liver * (1 - heart) * (values["soft_level"] + 8 - image)
    return _spine(canvas, values, image)


def _spine(canvas: _Canvas, values: Mapping[str, Floats], image: Floats) -> Floats:
    """Aorta and airway, then vertebral body, canal and processes."""
    zero = np.zeros_like(values["spine_width"])
    width = values["spine_width"]
    spine_y = values["spine_y"] * values["body_height"]
    aorta_y = spine_y - width - 0.06
    radius = values["aorta_radius"]
    aorta = canvas.ellipse(values["aorta_x"], aorta_y, radius, radius)
    image = image + aorta * (values["blood_level"] + 4 - image)
    airway_radius = np.maximum(values["airway_radius"], 0.012)
    airway = canvas.ellipse(
        values["airway_x"], values["hilum_y"] - 0.02, airway_radius * 1.3, airway_radius
    )
    image = image + airway * (18 - image)
    bone = canvas.ellipse(zero, spine_y, width, width * 0.85)
    image = image + bone * (222 - image)
    rim = bone * (1 - canvas.ellipse(zero, spine_y, width * 0.8, width * 0.66))
    image = image + rim * 22
    process = canvas.ellipse(zero, spine_y + width * 1.6, width * 0.3, width * 0.6)
    wings = canvas.ellipse(zero, spine_y + width * 1.25, width * 1.7, width * 0.3)
    image = image + np.maximum(process, wings) * 0.85 * (236 - image)
    canal = canvas.ellipse(zero, spine_y + width * 1.15, width * 0.45, width * 0.36)
    return image + canal * 0.9 * (178 - image)


def _vessels(canvas: _Canvas, values: Mapping[str, Floats], latents: Floats) -> Floats:
    """Vessels: tapering segments that fan out from both hila, and dots across the slice."""
    drawn = np.zeros_like(canvas.x)
    scale = values["body_width"]
    numbers = latents.reshape(len(latents), _VESSELS, _VESSEL_LATENTS)[..., None, None]
    for k in range(_VESSELS):
        side = 1.0 if k % 2 else -1.0
        turn, reach, length, bend, bright = (numbers[:, k, j] for j in range(_VESSEL_LATENTS))
        direction = turn * 0.85
        start = 0.16 + 0.16 * np.abs(reach)
        long = 0.02 if k % 4 >= 2 else 0.10 + 0.10 * np.abs(length)
        x0 = side * (0.06 + start * scale * np.cos(direction))
        y0 = values["hilum_y"] + start * scale * np.sin(direction)
        tilt = direction + 0.5 * bend
        dx, dy = side * np.cos(tilt), np.sin(tilt)
        px, py = canvas.x - x0, canvas.y - y0
        along = np.clip(px * dx + py * dy, 0, long)
        distance = (px - along * dx) ** 2 + (py - along * dy) ** 2
        thick = 0.026 - 0.035 * (start - 0.16) - 0.05 * along
        thick = np.maximum(thick, 0.012)
        strength = np.clip(0.75 + 0.2 * bright, 0.15, 1)
        drawn = np.maximum(drawn, strength * np.exp(-distance / (thick * thick)))
    return drawn


def _table(canvas: _Canvas, values: Mapping[str, Floats]) -> Floats:
    """The curved top of the scanner's table, below the body."""
    y = canvas.y + values["body_y"]
    top = values["body_height"] + 0.04 + np.abs(values["table_y"]) * 0.5
    sag = top - 0.12 * canvas.x**2
    return np.exp(-(((y - sag) / 0.018) ** 2)) * (values["table_y"] > 0.12)
