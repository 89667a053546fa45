from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gansfp.data.sources.files import import_medical, list_files
from gansfp.data.sources.shaping import Shape, find_group, first_copies, resize_square, stack
from gansfp.data.sources.volumes import choose_slices
from gansfp.errors import UserError


def test_shrinking_is_the_mean_of_the_covered_area():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12)).astype(np.uint8)
    mean = pixels.reshape(4, 3, 4, 3).mean(axis=(1, 3))
    assert np.abs(resize_square(pixels, 4) - mean).max() <= 1  # Pillow rounds after each axis
    assert resize_square(pixels, 12) is pixels
    assert resize_square(pixels, 30).shape == (30, 30)


def test_crop_is_central_and_needed_for_oblong_pictures():
    tall = np.arange(24, dtype=np.uint8).reshape(8, 3)
    np.testing.assert_array_equal(Shape(crop=True).apply(tall, "x"), tall[2:5])
    with pytest.raises(UserError, match=r"x: 3 x 8 pixels, not square; source\.crop=true"):
        Shape(resize=3).apply(tall, "x")
    with pytest.raises(UserError, match=r"source\.resize=0"):
        Shape(resize=0)


def test_stack_names_the_first_picture_of_another_size():
    square = np.zeros((3, 3), np.uint8)
    with pytest.raises(UserError, match=r"c: 4 x 4 pixels, but a has 3 x 3; set source\.resize"):
        stack([square, square, np.zeros((4, 4), np.uint8)], ["a", "b", "c"])


def test_groups_in_names():
    assert find_group(r"p\d+", "scan_p12_axial") == "p12"
    assert find_group(r"p(\d+)", "scan_p12_axial") == "12"
    with pytest.raises(UserError, match="finds no group"):
        find_group(r"q(\d+)", "scan_p12")
    with pytest.raises(UserError, match=r"source\.group_regex=\("):
        find_group("(", "scan")


def test_first_copies_point_at_the_first_of_equals():
    assert first_copies(["a", "b", "a", "c", "b"]) == [0, 1, 0, 3, 1]


@pytest.mark.parametrize(
    ("count", "slices", "spread", "expected"),
    [
        (5, "all", "even", [0, 1, 2, 3, 4]),
        (5, 9, "middle", [0, 1, 2, 3, 4]),
        (9, 1, "even", [4]),
        (9, 3, "even", [1, 4, 7]),
        (10, 2, "even", [2, 7]),
        (9, 3, "middle", [3, 4, 5]),
        (10, 3, "middle", [3, 4, 5]),
    ],
)
def test_chosen_slices(count, slices, spread, expected):
    assert choose_slices(count, slices, spread) == expected


def test_even_slices_are_distinct_and_symmetric():
    for count in range(1, 40):
        for slices in range(1, count + 1):
            chosen = choose_slices(count, slices, "even")
            assert len(set(chosen)) == slices
            assert abs(chosen[0] - (count - 1 - chosen[-1])) <= 1


def test_files_come_in_natural_order_without_hidden_ones(tmp_path):
    for name in ("a10", "a9", ".b/a1", "c/a1", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [file.relative_to(tmp_path).as_posix() for file in list_files(tmp_path)]
    assert found == ["a9", "a10", "c/a1"]


def test_a_missing_library_says_what_to_install():
    with pytest.raises(UserError, match=r"pip install 'gansfp\[medical\]'"):
        import_medical("no_such_library")


def test_sources_import_no_medical_library_before_they_read():
    code = (
        "import sys; from gansfp.data.sources import dicom, medmnist, nifti;"
        "dicom.DicomSource('.'), nifti.NiftiSource('.');"
        "sys.exit(bool({'pydicom', 'nibabel', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
