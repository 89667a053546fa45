"""A virtual patient: the numbers that all of its slices share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from gansfp.data.sources.phantom.curves import Warp, Wobble

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.floating]

# Organs with bumps of their own, root mean square in mm.
_WOBBLES = {
    "body": 2.6, "muscle": 3.6, "lung_right": 2.0, "lung_left": 2.0, "mediastinum": 3.0,
    "left_ventricle": 2.5, "right_ventricle": 3.0, "left_atrium": 3.0, "right_atrium": 2.5,
    "heart": 3.0, "vertebra": 0.8, "liver": 4.0, "spleen": 4.0, "stomach": 5.0, "kidney_right": 2.5,
    "kidney_left": 2.5, "gland_right": 5.0,
    "gland_left": 5.0, "thyroid": 1.5, "scapula": 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Traits:
    """What makes a patient: lengths in mm, densities in Hounsfield units.

    Attributes:
        female: Sex.
        age: In years.
        height: Body size over the mean man's.
        fat: Thickness of the fat under the skin at the flank.
        width: Thoracic width over the mean.
        depth: Thoracic depth over the mean.
        heart: Size of the heart over the mean.
        heart_turn: Radians.
        heart_shift: To the left, downwards.
        muscle: Thickness of muscle over the mean.
        breast: Height of the breasts.
        gland: Share of gland in the breast.
        contrast: Hounsfield units that contrast medium adds to blood in the left heart.
        right_contrast: The same in the right heart and lung arteries.
        lung: Density of healthy lung.
        gravity: How much denser the back of the lungs is than the front.
        tissue: Density of muscle.
        bone: Density of spongy bone.
        arms_up: Arms beside the head.
        severity: How ill the lungs are, 0 to 1.
    """

    female: bool
    age: float
    height: float
    fat: float
    width: float
    depth: float
    heart: float
    heart_turn: float
    heart_shift: tuple[float, float]
    muscle: float
    breast: float
    gland: float
    contrast: float
    right_contrast: float
    lung: float
    gravity: float
    tissue: float
    bone: float
    arms_up: bool
    severity: float


class _Key(ISeedSequence):
    """The key of a stream, from words: as `Philox(key=...)`, which first asks for entropy."""

    def __init__(self, words: bytes) -> None:
        self._key = np.frombuffer(hashlib.blake2b(words, digest_size=16).digest(), "<u8")

    def generate_state(self, n_words: int, dtype: Any = np.uint64) -> NDArray[np.uint64]:
        """Give the two words that Philox asks for."""
        return self._key


class Patient:
    """A virtual patient, a function of seed and number alone.

    Each part of the anatomy draws from a stream of its own, so that no part's chance moves
    another's.

    Args:
        seed: Seed of the pool.
        number: Which patient of the pool.
        severity: Turns a uniform number into the severity of lung lesions; None: no lesions.
        sex: "female" or "male"; None: either.
    """

    def __init__(
        self,
        seed: int,
        number: int,
        severity: Callable[[float], float] | None = None,
        sex: str | None = None,
    ) -> None:
        self.seed, self.number = seed, number
        ill = 0.0 if severity is None else severity(float(self.rng("severity").uniform()))
        # Most people are much like others, some are not: odd ones are odd in all respects.
        odd = float(0.80 * np.exp(0.38 * np.clip(self.rng("odd").standard_normal(), -2, 2.2)))
        self.traits = _draw_traits(self.rng("traits"), ill, sex, odd)
        rng = self.rng("warp")
        wide, narrow = (180.0, 500.0), (50.0, 120.0)
        self._warp = Warp.draw(rng, 4.2 * odd, wide) + Warp.draw(rng, 1.3, narrow, 8)
        rng = self.rng("wobbles")
        drawn = Wobble.draw_all(rng, list(_WOBBLES.values()), 10)
        self.wobbles = dict(zip(_WOBBLES, drawn, strict=True))

    def rng(self, *names: str | int) -> np.random.Generator:
        """Chance that depends on seed, patient and the names only."""
        words = repr((self.seed, self.number, *names)).encode()
        # A counter-based stream is made in no time: a slice asks for dozens.
        return np.random.Generator(np.random.Philox(cast("np.random.SeedSequence", _Key(words))))

    @property
    def scale(self) -> tuple[float, float]:
        """Width and depth of the trunk over the standard one's."""
        return self.traits.height * self.traits.width, self.traits.height * self.traits.depth

    def to_standard(self, level: float) -> float:
        """Level in the standard body, mm below the carina, of a level in this patient."""
        return level / self.traits.height

    def warp(self, level: float) -> Callable[[Floats], Floats]:
        """How points of the standard body, shape (n, 2), come to where this patient has them."""
        move, scale = self._warp.at(level), np.asarray(self.scale)
        return lambda points: move(points) * scale

    def bumps(self, name: str, curve: Floats, level: float) -> Floats:
        """Give a closed curve, shape (n, 2), the patient's own bumps."""
        return self.wobbles[name](curve, level)


def _draw_traits(rng: np.random.Generator, severity: float, sex: str | None, odd: float) -> Traits:
    """Draw a patient; the same numbers are drawn whatever the sex, so streams don't shift."""
    u = rng.uniform(size=12)
    n = np.clip(odd * rng.standard_normal(20), -2.6, 2.6)
    female = bool(u[0] < 0.45) if sex is None else sex == "female"
    contrast = float(60 + 200 * u[2]) if u[1] < 0.5 else 0.0
    early = contrast * (0.6 + 0.7 * u[3])
    return Traits(
        female=female,
        age=float(np.clip(60 + 11 * n[0], 30, 88)),
        height=float((0.93 if female else 1.0) + 0.042 * n[1]),
        fat=float((15 if female else 11) * np.exp(0.42 * n[2])),
        width=float(1.025 + 0.05 * n[3] + 0.012 * n[2]),
        depth=float(1.06 + 0.085 * n[4] + 0.02 * n[2]),
        heart=float(1.0 + 0.10 * n[5]),
        heart_turn=float(0.16 * n[6]),
        heart_shift=(float(9 + 6 * n[7]), float(4 * n[8])),
        muscle=float((0.85 if female else 1.05) + 0.15 * n[9]),
        breast=float(np.clip((28 + 14 * n[10] + 8 * n[2]), 4, 75)) if female else 0.0,
        gland=float(np.clip(0.45 + 0.25 * n[11], 0.05, 1)),
        contrast=contrast,
        right_contrast=float(early),
        lung=float(-868 + 25 * n[12]),
        gravity=float(60 + 22 * n[13]),
        tissue=float(52 + 7 * n[14]),
        bone=float(185 + 45 * n[15]),
        arms_up=bool(u[4] < 0.85),
        severity=severity,
    )
