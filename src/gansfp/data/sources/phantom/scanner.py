"""The scanner: detector noise through filtered back-projection, the kernel's blur, the window.

Reconstruction is linear, so the image of object plus noise is the blurred object plus the
reconstruction of the noise alone; only the noise is carried through the projections. Parallel
beams; Kak and Slaney, Principles of Computerized Tomographic Imaging (1988), chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft, sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats32 = NDArray[np.float32]

WATER = 0.0192  # attenuation of water at 70 keV, 1/mm (NIST XCOM)
_OVERSAMPLING = 4
_CYLINDER = 150.0  # radius in mm of the water that the bowtie filter is made for
_COARSE = 48
_COARSE_ANGLES = 36


@dataclass(frozen=True, slots=True)
class Scanner:
    """How one patient is scanned and reconstructed.

    Attributes:
        field: Side of the field of view in mm.
        dose: Photons for each mm of detector and view angle of the whole scan, in thousands.
        cutoff: Frequency in cycles/mm at which the kernel has fallen to one half.
        edge: Overshoot of the kernel before it falls, 0 (soft) to about 0.5 (sharp).
        circle: Diameter of the reconstructed disc over the field's side.
    """

    field: float
    dose: float
    cutoff: float
    edge: float
    circle: float = 9.0


def kernel(frequency: Floats32, scanner: Scanner) -> Floats32:
    """Transfer function of the kernel: 1 at zero, raised by `edge`, then falling.

    Args:
        frequency: In cycles/mm.
        scanner: Cut-off and edge.

    Returns:
        Same shape.
    """
    f = frequency / np.float32(scanner.cutoff)
    fall: Floats32 = np.exp(-np.float32(np.log(2)) * f**4)
    return fall * (1 + np.float32(scanner.edge) * np.minimum(f * f, 1.5))


def blur(pixels: Floats32, scanner: Scanner) -> Floats32:
    """Give an image the kernel's sharpness.

    Args:
        pixels: Shape (n, n).
        scanner: Field and kernel.

    Returns:
        Shape (n, n).
    """
    side = len(pixels)
    pitch = scanner.field / side
    fy = fft.fftfreq(side, pitch).astype(np.float32)[:, None]
    fx = fft.rfftfreq(side, pitch).astype(np.float32)[None]
    spectrum = fft.rfft2(pixels) * kernel(np.sqrt(fx * fx + fy * fy), scanner)
    blurred: Floats32 = fft.irfft2(spectrum, s=pixels.shape)
    return blurred


def noise(pixels: Floats32, scanner: Scanner, rng: np.random.Generator) -> Floats32:
    """Noise of the reconstruction, in Hounsfield units.

    The variance of a line integral is one over the photons that arrive, exp(path) / photons sent
    (Poisson, in its normal limit); the ramp filter, the kernel and the mean over a pixel shape it.

    Args:
        pixels: The noise-free image in Hounsfield units, shape (n, n).
        scanner: Field, dose and kernel.
        rng: Where chance comes from.

    Returns:
        Shape (n, n).
    """
    side = len(pixels)
    pitch = scanner.field / side
    rays, views, bins = _rays(side)
    path = _paths(pixels, scanner, views, bins) + _bowtie(bins, pitch)
    photons = 1e3 * scanner.dose * pitch / views
    spread = np.exp(0.5 * np.minimum(path, 14.0)) / np.float32(np.sqrt(photons))
    sinogram = spread.astype(np.float32) * rng.standard_normal((views, bins), dtype=np.float32)
    filtered = _filter(sinogram, pitch, scanner)
    image: Floats32 = rays @ filtered.ravel()
    scale = np.float32(np.pi / views * 1000 / WATER)
    return (image * scale).reshape(side, side)


def _bowtie(bins: int, pitch: float) -> Floats32:
    """What the bowtie filter takes from the beam: most of what water lacks off the centre."""
    away = (np.arange(bins) - (bins - 1) / 2) * pitch / _CYLINDER
    lacking = 1 - np.sqrt(np.maximum(1 - away**2, 0))
    taken: Floats32 = (0.75 * 2 * _CYLINDER * WATER * lacking).astype(np.float32)
    return taken


def _filter(sinogram: Floats32, pitch: float, scanner: Scanner) -> Floats32:
    """Ramp and kernel along the detector, on a grid refined for look-ups without interpolation."""
    bins = sinogram.shape[1]
    padded = fft.next_fast_len(2 * bins)
    f = fft.rfftfreq(padded, pitch).astype(np.float32)
    transfer = f * kernel(f, scanner) * np.sinc(f * np.float32(pitch)).astype(np.float32)
    spectrum = fft.rfft(sinogram, padded, axis=1) * (transfer * np.float32(_OVERSAMPLING))
    fine: Floats32 = fft.irfft(spectrum, padded * _OVERSAMPLING, axis=1)
    return fine[:, : bins * _OVERSAMPLING]


@lru_cache(maxsize=2)
def _rays(side: int) -> tuple[sparse.csr_matrix, int, int]:
    """Back-projection as a matrix of ones, pixels by places in the refined projections.

    Args:
        side: Side of the image.

    Returns:
        The matrix, the number of views and of bins.
    """
    views = 72 if side <= 128 else min(3 * side // 4, 192)
    bins = int(np.ceil(side * np.sqrt(2))) + 4
    angle = (np.arange(views) + 0.5) * np.pi / views
    axis = np.arange(side) - (side - 1) / 2
    place = np.cos(angle)[:, None, None] * axis + np.sin(angle)[:, None, None] * axis[:, None]
    column = np.rint((place + (bins - 1) / 2) * _OVERSAMPLING).astype(np.int32)
    width = bins * _OVERSAMPLING
    columns = column.reshape(views, -1).T + np.arange(views, dtype=np.int32) * width
    rows = np.arange(0, columns.size + 1, views)
    ones = np.ones(columns.size, np.float32)
    shape = (side * side, views * width)
    return sparse.csr_matrix((ones, columns.ravel(), rows), shape=shape), views, bins


def _paths(pixels: Floats32, scanner: Scanner, views: int, bins: int) -> Floats32:
    """Attenuation along every ray, from a coarse image: it is smooth; shape (views, bins)."""
    from PIL import Image

    coarse = np.asarray(Image.fromarray(pixels).resize((_COARSE, _COARSE), Image.Resampling.BOX))
    attenuation = np.maximum(coarse / 1000 + 1, 0) * np.float32(WATER * scanner.field / _COARSE)
    matrix, coarse_bins = _projector()
    projected = (matrix @ attenuation.ravel()).reshape(_COARSE_ANGLES, coarse_bins)
    image = Image.fromarray(np.ascontiguousarray(projected, dtype=np.float32))
    return np.asarray(image.resize((bins, views), Image.Resampling.BILINEAR))


@lru_cache(maxsize=1)
def _projector() -> tuple[sparse.csr_matrix, int]:
    """Parallel projection of the coarse image: each pixel falls on two neighbouring bins."""
    bins = int(np.ceil(_COARSE * np.sqrt(2))) + 2
    angle = (np.arange(_COARSE_ANGLES) + 0.5) * np.pi / _COARSE_ANGLES
    axis = np.arange(_COARSE) - (_COARSE - 1) / 2
    place = np.cos(angle)[:, None, None] * axis + np.sin(angle)[:, None, None] * axis[:, None]
    place = (place + (bins - 1) / 2).reshape(_COARSE_ANGLES, -1)
    low = np.floor(place).astype(np.int64)
    share = place - low
    row = (np.arange(_COARSE_ANGLES)[:, None] * bins + low).ravel()
    column = np.tile(np.arange(_COARSE**2), _COARSE_ANGLES)
    values = np.concatenate([1 - share.ravel(), share.ravel()]).astype(np.float32)
    place_in = (np.concatenate([row, row + 1]), np.tile(column, 2))
    shape = (_COARSE_ANGLES * bins, _COARSE**2)
    return sparse.csr_matrix((values, place_in), shape=shape), bins


def to_grey(pixels: Floats32, window: tuple[float, float]) -> NDArray[np.uint8]:
    """Map a window of Hounsfield units to 0 to 255."""
    low, high = window
    scaled = (pixels - np.float32(low)) * np.float32(255 / (high - low))
    grey: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return grey
