"""What the reader of README.md and docs/ has in his home: small data in every form they name."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from toy import MembershipCounts, write_toy_membership

PATIENTS, SIDE = 30, 16
CONTEST_SIDE = 48  # the Siamese network of 1696 takes no smaller one


def give_the_reader_data(home: Path) -> Path:
    """Write imageclef/, ct/, dicom/ and volumes/; return the first."""
    counts = MembershipCounts(labelled=16, test=12, generated_train=16, generated_test=12)
    contest = write_toy_membership(home / "imageclef", size=CONTEST_SIDE, counts=counts)
    _pictures(home / "ct")
    _dicom(home / "dicom")
    _volumes(home / "volumes")
    return contest


def _pictures(folder: Path) -> None:
    """Real images in two folders, synthetic ones below generated/, and who is who."""
    rng = np.random.default_rng(0)
    rows = ["file,group"]
    for place in ("used", "not_used", "generated"):
        (folder / place).mkdir(parents=True)
        for k in range(PATIENTS):
            name = f"{place}_{k}.png"
            pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / place / name)
            if place != "generated":
                rows.append(f"{name},patient_{place}_{k}")
    (folder / "patients.csv").write_text("\n".join(rows) + "\n")


def _dicom(folder: Path) -> None:
    """A CT series of three slices a patient."""
    rng = np.random.default_rng(1)
    for k in range(PATIENTS):
        for level in range(3):
            path = folder / f"p{k}" / f"{level}.dcm"
            path.parent.mkdir(parents=True, exist_ok=True)
            stored = rng.integers(24, 1424, (SIDE, SIDE)).astype("<u2")
            _slice(stored, k, level).save_as(path, enforce_file_format=True)


def _slice(stored: np.ndarray, patient: int, level: int) -> Dataset:
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.SOPClassUID, one.SOPInstanceUID = CTImageStorage, f"1.2.3.{patient}.{level}"
    one.Modality, one.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    one.PatientID = f"P{patient}"
    one.StudyInstanceUID, one.SeriesInstanceUID = f"1.2.{patient}", f"1.2.{patient}.1"
    one.Rows, one.Columns = stored.shape
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated = one.BitsStored = 16
    one.HighBit, one.PixelRepresentation = 15, 0
    one.RescaleSlope, one.RescaleIntercept = 1, -1024
    one.ImagePositionPatient = [0, 0, level]
    one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    one.PixelData = stored.tobytes()
    one["PixelData"].VR = "OW"
    return one


def _volumes(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(2)
    for k in range(PATIENTS):
        volume = rng.integers(-1000, 400, (SIDE, SIDE, 9)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(volume, np.diag([0.7, 0.7, 2.5, 1])), folder / f"v{k}.nii")
