from __future__ import annotations

import struct
import time
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gansfp.data.decode import decode_image, resize_pixels
from gansfp.errors import UserError

GREY = np.random.default_rng(0).integers(0, 256, (12, 9), dtype=np.uint8)


def saved(tmp_path: Path, image: Image.Image, name: str = "a.png", **options: object) -> Path:
    path = tmp_path / name
    image.save(path, **options)
    return path


def shuffled_palette(pixels: np.ndarray) -> Image.Image:
    """The same grey picture, but the index of grey value v is (v + 100) % 256."""
    indices = (pixels.astype(int) + 100) % 256
    image = Image.fromarray(indices.astype(np.uint8), mode="L")
    image = image.convert("P")
    image.putdata(indices.ravel().tolist())
    palette = [(index - 100) % 256 for index in range(256) for _ in range(3)]
    image.putpalette(palette)
    return image


def test_grey_is_kept(tmp_path: Path) -> None:
    picture = decode_image(saved(tmp_path, Image.fromarray(GREY)))
    assert picture.mode == "L"
    assert picture.pixels.dtype == np.uint8
    np.testing.assert_array_equal(picture.pixels, GREY)


def test_palette_goes_through_its_colours_not_its_indices(tmp_path: Path) -> None:
    image = shuffled_palette(GREY)
    assert not np.array_equal(np.asarray(image), GREY)
    picture = decode_image(saved(tmp_path, image))
    assert picture.mode == "P"
    np.testing.assert_array_equal(picture.pixels, GREY)


def test_palette_and_grey_have_one_hash(tmp_path: Path) -> None:
    grey = decode_image(saved(tmp_path, Image.fromarray(GREY), "grey.png"))
    palette = decode_image(saved(tmp_path, shuffled_palette(GREY), "palette.png"))
    assert grey.pixel_hash == palette.pixel_hash


def test_transparent_palette_does_not_warn(tmp_path: Path) -> None:
    path = saved(tmp_path, shuffled_palette(GREY), transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = decode_image(path)
    np.testing.assert_array_equal(picture.pixels, GREY)


def test_hash_sees_the_shape(tmp_path: Path) -> None:
    tall = decode_image(saved(tmp_path, Image.fromarray(GREY), "a.png"))
    wide = decode_image(saved(tmp_path, Image.fromarray(GREY.reshape(9, 12)), "b.png"))
    assert tall.pixel_hash != wide.pixel_hash


def test_rgb_becomes_luminance(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 10, 10]]], dtype=np.uint8)
    picture = decode_image(saved(tmp_path, Image.fromarray(colours)))
    # ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B
    np.testing.assert_array_equal(picture.pixels, [[76, 150, 29, 10]])


def test_alpha_is_dropped_not_composited(tmp_path: Path) -> None:
    alpha = np.random.default_rng(1).integers(0, 256, GREY.shape, dtype=np.uint8)
    rgba = np.dstack([GREY, GREY, GREY, alpha])
    picture = decode_image(saved(tmp_path, Image.fromarray(rgba)))
    assert picture.mode == "RGBA"
    np.testing.assert_array_equal(picture.pixels, GREY)
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    np.testing.assert_array_equal(decode_image(saved(tmp_path, grey_alpha)).pixels, GREY)


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    picture = decode_image(saved(tmp_path, Image.fromarray(GREY > 128)))
    assert picture.mode == "1"
    np.testing.assert_array_equal(picture.pixels, np.where(GREY > 128, 255, 0))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_use_one_fixed_map(tmp_path: Path, name: str) -> None:
    values = np.array([[0, 257, 1000, 32768, 65535]], dtype=np.uint16)
    path = saved(tmp_path, Image.fromarray(values), name)
    np.testing.assert_array_equal(
        decode_image(path).pixels, np.rint(values / 65535 * 255).astype(np.uint8)
    )
    np.testing.assert_array_equal(
        decode_image(path, bits16=(1000, 33768)).pixels, [[0, 0, 0, 247, 255]]
    )


def test_sixteen_bits_are_not_stretched_to_their_own_range(tmp_path: Path) -> None:
    dim = np.array([[0, 2570]], dtype=np.uint16)
    bright = np.array([[0, 5140]], dtype=np.uint16)
    first = decode_image(saved(tmp_path, Image.fromarray(dim), "a.png"))
    second = decode_image(saved(tmp_path, Image.fromarray(bright), "b.png"))
    assert (first.pixels[0, 1], second.pixels[0, 1]) == (10, 20)


def test_signed_tiff_is_mapped(tmp_path: Path) -> None:
    values = np.array([[-1000, 0, 1000]], dtype=np.int32)
    path = saved(tmp_path, Image.fromarray(values), "a.tif")
    np.testing.assert_array_equal(decode_image(path, bits16=(-1000, 1000)).pixels, [[0, 128, 255]])


def test_tiff_and_jpeg(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8
    exact = decode_image(saved(tmp_path, Image.fromarray(smooth), "a.tiff"))
    np.testing.assert_array_equal(exact.pixels, smooth)
    lossy = decode_image(saved(tmp_path, Image.fromarray(smooth), "a.jpg", quality=95))
    assert np.abs(lossy.pixels.astype(int) - smooth).max() <= 4


def test_truncated_png(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(np.kron(GREY, np.ones((8, 8), np.uint8))))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UserError, match=r"a\.png: unreadable \(.*truncated"):
        decode_image(path)


def test_text_named_png(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_text("this is not a picture")
    with pytest.raises(UserError, match=r"notes\.png: unreadable \(not an image\)"):
        decode_image(path)


def test_empty_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    for name in ("empty.png", "missing.png"):
        with pytest.raises(UserError, match=name):
            decode_image(tmp_path / name)


def png_header(path: Path, width: int, height: int) -> Path:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("size", [(30_000, 30_000), (8193, 1), (1, 1_000_000)])
def test_bombs_are_refused_by_their_header(tmp_path: Path, size: tuple[int, int]) -> None:
    path = png_header(tmp_path / "bomb.png", *size)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(UserError, match=r"bomb\.png: .*8192"):
        decode_image(path)
    assert time.perf_counter() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_several_frames_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    path = saved(tmp_path, frames[0], "a.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(UserError, match="2 frames"):
        decode_image(path)


def test_float_pixels_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(GREY.astype(np.float32)), "a.tif")
    with pytest.raises(UserError, match="8 or 16 bits"):
        decode_image(path)


def test_postscript_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(UserError, match="not an image"):
        decode_image(path)


def test_resize_keeps_means_and_fitting_arrays() -> None:
    assert resize_pixels(GREY, (12, 9)) is GREY
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    small = resize_pixels(ramp, (32, 16))
    assert small.shape == (32, 16)
    assert abs(small.mean() - ramp.mean()) < 0.5
