"""Planted copies: what an audit would see if so many patients were given away, measured.

The number of exposed patients that an audit can find depends on the non-members at hand. It is
measured here by giving patients away on purpose: slightly changed copies of some real images are
added to the synthetic set, in memory alone, and the audit runs again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from gansfp.audit.examination import with_copies
from gansfp.audit.exposure import exposed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.audit.attack import Values
    from gansfp.audit.examination import Examination

NOISE = 8.0
"""Standard deviation of the noise in a planted copy, grey levels of 255."""

SHIFT = 1
"""Largest shift of a planted copy in each direction, pixels of an image of 64."""

FACTORS = (1, 1.25, 1.5, 2, 3, 5, 10, 20, 50, 100)
"""Numbers of planted patients, as multiples of the fewest that can be found."""

REPEATS = 5
FOUND = 0.80
"""Share of the planted patients that must be found, on average."""


def perturbed(
    images: NDArray[np.uint8], rng: np.random.Generator, noise: float = NOISE, shift: int = SHIFT
) -> NDArray[np.uint8]:
    """Copy images with Gaussian noise and a shift of whole pixels, the edge repeated.

    Args:
        images: Grey levels, uint8, shape (N, H, W).
        rng: Decides both.
        noise: Standard deviation, grey levels.
        shift: Largest shift in each direction, pixels; every one is equally likely, 0 included.

    Returns:
        uint8, same shape.
    """
    copies = np.empty_like(images)
    for k, image in enumerate(images):
        move = rng.integers(-shift, shift + 1, size=2)
        moved = ndimage.shift(image.astype(np.float64), move, order=0, mode="nearest")
        noisy = moved + noise * rng.standard_normal(image.shape)
        copies[k] = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return copies


@dataclass(frozen=True)
class Planted:
    """What was found of planted patients.

    Attributes:
        counts: How many were planted.
        found: Mean share of them that was called exposed.
        smallest: The smallest number of which `FOUND` or more were found; None: not even the most.
    """

    counts: tuple[int, ...]
    found: tuple[float, ...]
    smallest: int | None

    def facts(self) -> dict[str, Any]:
        """Describe by plain values."""
        return {
            "noise": NOISE,
            "shift": SHIFT,
            "repeats": REPEATS,
            "counts": list(self.counts),
            "found": [round(share, 4) for share in self.found],
            "smallest": self.smallest,
        }


def planted_power(
    examination: Examination,
    closest: Values,
    pixels: NDArray[np.uint8],
    q: float,
    repeats: int = REPEATS,
) -> Planted:
    """Plant copies of more and more patients and count how many are found.

    Patients who stand out already are not planted. A copy is made of one image of each patient.

    Args:
        examination: The pool and the synthetic images.
        closest: log distances to the synthetic images, shape (n, views).
        pixels: Images of the pool, uint8, shape (n, H, W).
        q: False discovery rate of the calls.
        repeats: Draws of patients for each number.
    """
    units, labels = examination.units, examination.units.labels
    scores = units.score(examination.scale(closest).score(closest))
    before = exposed(scores, labels, q)
    free = np.flatnonzero(labels == 1)[~before.called]
    counts = _counts(before.fewest, len(free))
    shift = round(SHIFT * pixels.shape[1] / 64) or 1
    shares = []
    for count in counts:
        found = []
        for repeat in range(repeats):
            rng = np.random.default_rng([examination.seed, count, repeat])
            chosen = rng.choice(free, count, replace=False)
            rows = np.array([rng.choice(np.flatnonzero(units.of_image == unit)) for unit in chosen])
            copies = perturbed(pixels[rows], rng, shift=shift)
            near = with_copies(examination, closest, examination.attack.encode(copies))
            planted = units.score(examination.scale(near).score(near))
            called = np.zeros(len(labels), dtype=bool)
            called[labels == 1] = exposed(planted, labels, q).called
            found.append(float(called[chosen].mean()))
        shares.append(float(np.mean(found)))
        if shares[-1] >= FOUND and len(shares) > 1 and shares[-2] >= FOUND:
            break
    smallest = next(
        (count for count, share in zip(counts, shares, strict=False) if share >= FOUND), None
    )
    return Planted(tuple(counts[: len(shares)]), tuple(shares), smallest)


def _counts(fewest: int, candidates: int) -> list[int]:
    """The fewest that can be found at all, and multiples of it up to half of the candidates."""
    steps = [math.ceil(fewest * factor) for factor in FACTORS]
    return sorted({step for step in steps if step <= max(1, candidates // 2)})
