"""The one image decoder: any picture file becomes 8-bit grey pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from gansfp.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAX_SIDE = 8192
# No EPS and the like: their decoders start other programs.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "PPM", "GIF", "WEBP")
_WIDE_MODES = ("I", "I;16", "I;16L", "I;16B", "I;16N")
_COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "HSV", "LAB")


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image.

    Attributes:
        pixels: Grey values, uint8, shape (H, W).
        mode: Pillow's name of the colour type in the file ("L", "P", "RGB", "I;16", ...).
    """

    pixels: NDArray[np.uint8]
    mode: str

    @property
    def pixel_hash(self) -> str:
        """BLAKE2b of the shape and the grey values: equal for equal pictures in any format."""
        digest = hashlib.blake2b(np.array(self.pixels.shape, np.int64).tobytes(), digest_size=16)
        digest.update(np.ascontiguousarray(self.pixels).data)
        return digest.hexdigest()


def decode_image(path: Path, bits16: tuple[int, int] = (0, 65535)) -> Picture:
    """Read an image file as 8-bit grey.

    Palette files go through their palette, colours become luminance (ITU-R 601-2, Pillow's "L"),
    alpha is dropped without compositing (the colour under it is the pixel), 1-bit files become 0
    and 255. Grey files of 16 or 32 bits are mapped linearly and clipped; the map is the same for
    every image, since a map of each image's own range would erase what a generator left in it.
    Colour files of 16 bits a channel keep their upper 8 bits (all that Pillow reads of them).

    Args:
        path: PNG, JPEG, TIFF, BMP, PGM, GIF or WebP with one frame.
        bits16: The grey values that become 0 and 255 where a file has more than 8 bits.

    Returns:
        The pixels and the colour type of the file.

    Raises:
        UserError: The file is unreadable, truncated, not an image, larger than 8192 pixels a side,
            or holds several frames or floating-point pixels.
    """
    try:
        # One read of the whole file: what follows is memory only, and threads do not share a file.
        with Image.open(BytesIO(path.read_bytes()), formats=FORMATS) as image:
            _refuse_odd(image, path)
            image.load()
            return Picture(_grey(image, path, bits16), image.mode)
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: over {MAX_SIDE} pixels a side; remove or resize it") from error
    except Exception as error:  # Pillow's decoders raise whatever a broken file makes them raise.
        reason = "not an image" if isinstance(error, UnidentifiedImageError) else str(error)
        raise UserError(f"{path}: unreadable ({reason}); replace or remove it") from error


def resize_pixels(pixels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Scale a picture with an antialiased bilinear filter.

    Args:
        pixels: Grey values, uint8, shape (H, W).
        shape: New height and width.

    Returns:
        Grey values, uint8, of the new shape; the same array where the shape already fits.
    """
    if pixels.shape == shape:
        return pixels
    scaled = Image.fromarray(pixels).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(scaled)


def _refuse_odd(image: Image.Image, path: Path) -> None:
    """Look at the header only, before any pixel is decoded."""
    width, height = image.size
    if max(width, height) > MAX_SIDE:
        raise UserError(
            f"{path}: {width} x {height} pixels, more than {MAX_SIDE} a side; remove or resize it"
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise UserError(f"{path}: holds {frames} frames; write each as a file of its own")


def _grey(image: Image.Image, path: Path, bits16: tuple[int, int]) -> NDArray[np.uint8]:
    mode = image.mode
    if mode == "L":
        return np.asarray(image)
    if mode in ("1", "LA", "La"):
        return np.asarray(image.convert("L"))
    if mode in _WIDE_MODES:
        return map_levels(np.asarray(image), bits16)
    if mode in _COLOUR_MODES:
        # A transparent palette entry would make Pillow warn, and alpha is dropped anyway.
        image.info.pop("transparency", None)
        return np.asarray(image.convert("RGB").convert("L"))
    raise UserError(f"{path}: pixels of type {mode}; save it with 8 or 16 bits")


def map_levels(values: NDArray[np.generic], levels: tuple[float, float]) -> NDArray[np.uint8]:
    """Map numbers linearly to grey, rounded to nearest (ties to even) and clipped.

    Args:
        values: Finite numbers of any real dtype, any shape.
        levels: What becomes 0 and 255.

    Returns:
        Grey values, uint8, same shape.
    """
    low, high = levels
    scaled = (values.astype(np.float32) - low) * np.float32(255.0 / (high - low))
    return np.asarray(np.rint(scaled.clip(0, 255)), np.uint8)
