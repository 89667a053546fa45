from __future__ import annotations

import logging
import sys

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from gansfp.data.sources.dicom import DicomSource, short_hash
from gansfp.errors import UserError


def ct(stored, z=0.0, patient="P1", series="1.2.3", **tags):
    """A small CT image; `stored` is what the file holds, int16 or uint16, shape (H, W)."""
    stored = np.asarray(stored)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, UID("1.2.3.4")
    dataset.Modality, dataset.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientID, dataset.PatientName = patient, "Doe^Jane"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", series
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, int(stored.dtype.kind == "i")
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
    dataset.ImagePositionPatient = [0, 0, z]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelData = stored.astype("<i2" if stored.dtype.kind == "i" else "<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    for name, value in tags.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def save(dataset, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def noise(seed=0, size=6):
    return np.random.default_rng(seed).integers(24, 1424, (size, size)).astype(np.uint16)


def grey(stored, intercept=-1024, low=-1000, high=400):
    """The window by its definition, in exact integers and Python's own rounding."""
    hu = np.asarray(stored).astype(int) + intercept
    clipped = np.clip((hu - low) / (high - low), 0, 1) * 255
    return np.vectorize(round)(clipped).astype(np.uint8)


def read(path, **options):
    return DicomSource(str(path), **options).read()


def test_hounsfield_units_become_the_greys_computed_by_hand(tmp_path):
    # HU -1024, -1000, -993, 0, 400, 1000: below, at 0, 7 of 1400 up (1.275), 182.14, 255, above.
    stored = np.array([[0, 24, 31], [1024, 1424, 2024], [24, 24, 24]], np.uint16)
    save(ct(stored), tmp_path / "a.dcm")
    expected = [[0, 0, 1], [182, 255, 255], [0, 0, 0]]
    np.testing.assert_array_equal(read(tmp_path).pixels[0], expected)
    narrow = read(tmp_path, window=[0, 400]).pixels[0]
    np.testing.assert_array_equal(narrow, [[0, 0, 0], [0, 255, 255], [0, 0, 0]])
    # Slope 2, intercept -48: stored 24 is HU 0, stored 224 is HU 400.
    sloped = ct([[24, 224], [0, 124]], RescaleSlope=2, RescaleIntercept=-48)
    save(sloped, tmp_path / "a.dcm")
    np.testing.assert_array_equal(read(tmp_path, window=[0, 400]).pixels[0], [[0, 255], [0, 128]])


def test_signed_pixels_and_the_map_is_the_same_for_every_image(tmp_path):
    dark, bright = np.array([[-900, -800], [-850, -900]]), np.array([[0, 100], [50, 0]])
    for name, hu in (("dark", dark), ("bright", bright)):
        dataset = ct(hu.astype(np.int16), series=f"1.{len(name)}", RescaleIntercept=0)
        save(dataset, tmp_path / name)
    found = read(tmp_path)
    np.testing.assert_array_equal(found.pixels[0], grey(bright, 0))
    np.testing.assert_array_equal(found.pixels[1], grey(dark, 0))


def test_slices_are_sorted_by_position_whatever_their_names(tmp_path):
    heights = [30.0, -10.0, 5.5, 100.25]
    for k, z in enumerate(heights):
        save(ct(noise(k), z, InstanceNumber=k), tmp_path / f"IM{k}")
    found = read(tmp_path)
    order = np.argsort(heights)
    np.testing.assert_array_equal(found.pixels, [grey(noise(k)) for k in order])
    assert [name[-4:] for name in found.names] == ["0001", "0002", "0003", "0004"]
    middle = read(tmp_path, slices=2, spread="middle").pixels
    np.testing.assert_array_equal(middle, found.pixels[1:3])
    np.testing.assert_array_equal(read(tmp_path, slices=1).pixels, found.pixels[2:3])
    np.testing.assert_array_equal(read(tmp_path, limit=2).pixels, found.pixels[:2])


def test_without_positions_the_numbers_order_and_then_the_names(tmp_path):
    for k, number in enumerate([7, 3, 5]):
        save(ct(noise(k), ImagePositionPatient=None, InstanceNumber=number), tmp_path / f"a{k}")
    np.testing.assert_array_equal(read(tmp_path).pixels, [grey(noise(k)) for k in (1, 2, 0)])
    for k in range(3):
        save(ct(noise(k), ImagePositionPatient=None), tmp_path / f"a{k}")
    np.testing.assert_array_equal(read(tmp_path).pixels, [grey(noise(k)) for k in range(3)])


def test_rle_gives_the_pixels_of_the_plain_file(tmp_path):
    plain, packed = ct(noise()), ct(noise())
    save(plain, tmp_path / "plain/a")
    packed.compress(RLELossless)
    save(packed, tmp_path / "packed/a")
    np.testing.assert_array_equal(read(tmp_path / "packed").pixels, read(tmp_path / "plain").pixels)


@pytest.mark.parametrize(
    ("syntax", "plugin"),
    [(JPEGLSLossless, "pyjpegls"), (JPEGLosslessSV1, "pylibjpeg pylibjpeg-libjpeg")],
)
def test_a_compression_without_its_decoder_names_file_and_plugin(tmp_path, syntax, plugin):
    dataset = ct(noise())
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset["PixelData"].is_undefined_length = True
    save(dataset, tmp_path / "squeezed")
    with pytest.raises(UserError) as error:
        read(tmp_path)
    assert str(tmp_path / "squeezed") in str(error.value)
    assert str(error.value).endswith(f"pip install {plugin}")
    assert "\n" not in str(error.value)


def test_monochrome1_is_shown_inverted(tmp_path):
    save(ct(noise(), PhotometricInterpretation="MONOCHROME1"), tmp_path / "a")
    np.testing.assert_array_equal(read(tmp_path).pixels[0], 255 - grey(noise()))


def test_padding_is_black_even_where_its_value_is_high(tmp_path):
    stored = noise()
    stored[0] = 60000
    stored[1] = 61000
    save(ct(stored, PixelPaddingValue=60000), tmp_path / "a")
    found = read(tmp_path).pixels[0]
    assert (found[0] == 0).all()
    assert (found[1] == 255).all()
    np.testing.assert_array_equal(found[2:], grey(stored)[2:])
    save(ct(stored, PixelPaddingValue=61000, PixelPaddingRangeLimit=60000), tmp_path / "a")
    assert (read(tmp_path).pixels[0, :2] == 0).all()


@pytest.mark.parametrize(
    ("turn", "orientation"),
    [
        (lambda a: a, [1, 0, 0, 0, 1, 0]),
        (lambda a: a[:, ::-1], [-1, 0, 0, 0, 1, 0]),
        (lambda a: a[::-1], [1, 0, 0, 0, -1, 0]),
        (lambda a: a[::-1, ::-1], [-1, 0, 0, 0, -1, 0]),
        (lambda a: a.T, [0, 1, 0, 1, 0, 0]),
        (lambda a: a.T[:, ::-1], [0, -1, 0, 1, 0, 0]),
    ],
)
def test_a_slice_is_the_right_way_up_however_it_was_stored(tmp_path, turn, orientation):
    stored = np.ascontiguousarray(turn(noise()))
    save(ct(stored, ImageOrientationPatient=orientation), tmp_path / "a")
    np.testing.assert_array_equal(read(tmp_path).pixels[0], grey(noise()))


def test_what_is_no_axial_ct_slice_is_left_out_with_a_count(tmp_path, caplog):
    save(ct(noise()), tmp_path / "good")
    save(ct(noise(1), Modality="MR"), tmp_path / "mr")
    save(ct(noise(2), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), tmp_path / "scout")
    save(ct(noise(3), SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.7")), tmp_path / "screenshot")
    save(ct(noise(4), ImageOrientationPatient=[1, 0, 0, 0, 0, -1]), tmp_path / "coronal")
    save(ct(noise(5), PixelData=None, Rows=None), tmp_path / "report.dcm")
    save(ct(noise(6)), tmp_path / "DICOMDIR")
    (tmp_path / "readme.txt").write_text("text")
    (tmp_path / "empty").touch()
    with caplog.at_level(logging.WARNING):
        found = read(tmp_path)
    np.testing.assert_array_equal(found.pixels, [grey(noise())])
    for part in ("2 no DICOM files", "1 not of modality CT", "1 slices of another plane",
                 "2 scout views and screenshots", "1 without grey pixels"):  # fmt: skip
        assert part in caplog.text
    assert len(read(tmp_path, modality=None, plane=None)) == 3
    with pytest.raises(UserError, match=r"no slice to read \(6 not of modality PT, 2 no DICOM"):
        read(tmp_path, modality="PT")


def test_names_and_groups_tell_no_patient_unless_asked(tmp_path):
    save(ct(noise(), patient="Jane Doe 1970"), tmp_path / "jane_doe/a")
    save(ct(noise(1), patient="Jane Doe 1970", series="1.9"), tmp_path / "jane_doe/b")
    save(ct(noise(2), patient="", series="1.10"), tmp_path / "x/c")
    hidden = read(tmp_path)
    patient = f"patient_{short_hash('Jane Doe 1970')}"
    assert hidden.groups == (patient, patient, f"series_{short_hash('1.10')}")
    assert not any("ane" in text or "1.9" in text for text in hidden.names + hidden.groups)
    assert len(set(hidden.names)) == 3
    assert hidden.groups == read(tmp_path).groups
    plain = read(tmp_path, anonymise=False)
    assert plain.names == ("jane_doe/a", "jane_doe/b", "x/c")
    assert plain.groups == ("Jane Doe 1970", "Jane Doe 1970", "1.10")
    by_series = read(tmp_path, anonymise=False, group_by="series")
    assert by_series.groups == ("1.2.3", "1.9", "1.10")


def test_frames_of_an_enhanced_ct_are_slices(tmp_path):
    frames = np.stack([noise(k) for k in range(3)])
    dataset = ct(frames, NumberOfFrames=3, SOPClassUID=EnhancedCTImageStorage,
                 ImagePositionPatient=None, ImageOrientationPatient=None, RescaleSlope=None,
                 RescaleIntercept=None)  # fmt: skip
    dataset.SharedFunctionalGroupsSequence = Sequence(
        [item(PlaneOrientationSequence=item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]))]
    )
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                PlanePositionSequence=item(ImagePositionPatient=[0, 0, z]),
                PixelValueTransformationSequence=item(
                    RescaleSlope=1, RescaleIntercept=-1024 + shift
                ),
            )
            for z, shift in ((20, 0), (0, 0), (10, 100))
        ]
    )
    save(dataset, tmp_path / "a")
    found = read(tmp_path)
    expected = [grey(noise(1)), grey(noise(2), -924), grey(noise(0))]
    np.testing.assert_array_equal(found.pixels, expected)
    names = read(tmp_path, anonymise=False).names
    assert names == ("a/0002", "a/0003", "a/0001")


def item(**tags):
    dataset = Dataset()
    for name, value in tags.items():
        setattr(dataset, name, Sequence([value]) if isinstance(value, Dataset) else value)
    return dataset


def test_blank_slices_and_copies(tmp_path, caplog):
    save(ct(noise(), 0), tmp_path / "a")
    save(ct(noise(), 0), tmp_path / "copy/a")
    save(ct(np.zeros((6, 6), np.uint16), 5), tmp_path / "air")
    with caplog.at_level(logging.WARNING):
        assert len(read(tmp_path)) == 1
    assert "1 slices of one grey level left out" in caplog.text
    assert "1 repeated slices left out" in caplog.text
    save(ct(noise(), 0, patient="P2"), tmp_path / "other")
    with pytest.raises(UserError, match=r"the same image as .*, of another patient"):
        read(tmp_path)


def test_sizes_are_not_mixed(tmp_path):
    save(ct(noise(0, 6), 0), tmp_path / "a")
    save(ct(noise(1, 8), 1), tmp_path / "b")
    with pytest.raises(UserError, match=r"set source\.resize"):
        read(tmp_path)
    assert read(tmp_path, resize=4).pixels.shape == (2, 4, 4)
    save(ct(noise(1, 8)[:6], 1), tmp_path / "b")
    with pytest.raises(UserError, match=r"source\.crop=true"):
        read(tmp_path)
    np.testing.assert_array_equal(read(tmp_path, crop=True).pixels[1], grey(noise(1, 8)[:6, 1:7]))


def test_faults_are_told_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="no such folder"):
        read(tmp_path / "none")
    with pytest.raises(UserError, match=r"no slice to read \(no file at all\)"):
        read(tmp_path)
    save(ct(noise(), RescaleSlope=None), tmp_path / "a")
    with pytest.raises(UserError, match=r"a: no RescaleSlope"):
        read(tmp_path)
    dataset = ct(noise())
    dataset.PixelData = dataset.PixelData[:10]
    save(dataset, tmp_path / "a")
    with pytest.raises(UserError, match=r"a: .*replace or remove it"):
        read(tmp_path)
    for options in ({"window": [5, 5]}, {"window": [1]}, {"slices": "some"}, {"slices": 0},
                    {"spread": "x"}, {"group_by": "x"}, {"plane": "x"}):  # fmt: skip
        with pytest.raises(UserError, match=f"source.{next(iter(options))}="):
            DicomSource(str(tmp_path), **options)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UserError, match=r"pydicom is not installed: pip install 'gansfp\[medical"):
        read(tmp_path)
