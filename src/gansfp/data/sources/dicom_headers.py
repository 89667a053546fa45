"""Headers of DICOM files: which slices there are, of whom, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.data.sources.files import import_medical
from gansfp.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

_TAGS = (
    "SOPClassUID",
    "ImageType",
    "Modality",
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SamplesPerPixel",
    "Rows",
    "NumberOfFrames",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
AXIAL = 0.7
"""Least cosine between a series' normal and the body's axis: tilted gantries stay in."""


@dataclass(frozen=True, slots=True)
class DicomSlice:
    """One slice: a file, or a frame of one.

    Attributes:
        file: Where it lies.
        frame: Its number in a file of several frames, from 0; None for an ordinary file.
        patient: PatientID, empty where there is none.
        study: StudyInstanceUID.
        series: SeriesInstanceUID.
        position: Centre of its first pixel in mm (to the left, to the back, to the head), or None.
        orientation: Direction of its rows, then of its columns, in the same axes, or None.
        number: InstanceNumber or the frame, or None.
    """

    file: Path
    frame: int | None
    patient: str
    study: str
    series: str
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    number: int | None


def read_headers(
    files: Sequence[Path], modality: str | None
) -> tuple[list[DicomSlice], Counter[str]]:
    """Read the headers of files.

    Args:
        files: Any files.
        modality: The modality wanted; None takes all.

    Returns:
        The slices in the order of the files, and how many files were left out for which reason.

    Raises:
        UserError: A header is damaged.
    """
    slices: list[DicomSlice] = []
    skipped: Counter[str] = Counter()
    with ThreadPoolExecutor() as pool:
        for found in pool.map(lambda file: _read_header(file, modality), files):
            if isinstance(found, str):
                skipped[found] += 1
            else:
                slices += found
    return slices, skipped


def sorted_series(slices: Iterable[DicomSlice]) -> list[list[DicomSlice]]:
    """Put slices into series, each from the feet to the head.

    By position along the series' normal; where that is not known of all, by number; where that is
    not known either, as the files come. Series come in the order of their first files.
    """
    series: dict[tuple[str, str, str], list[DicomSlice]] = {}
    for one in slices:
        series.setdefault((one.patient, one.study, one.series), []).append(one)
    return [_in_order(members) for members in series.values()]


def is_axial(one: DicomSlice) -> bool:
    """Tell whether a slice is cut across the body's axis; unknown counts as axial."""
    return one.orientation is None or abs(_normal(one.orientation)[2]) >= AXIAL


def functional_group(dataset: Dataset, frame: int, name: str) -> Dataset | None:
    """Find what a multi-frame file says of a frame, for it alone or for all (PS3.3 C.7.6.16)."""
    own = dataset.get("PerFrameFunctionalGroupsSequence")
    shared = dataset.get("SharedFunctionalGroupsSequence")
    for group in [*([own[frame]] if own and frame < len(own) else []), *(shared or [])]:
        if group.get(name):
            item: Dataset = group[name].value[0]
            return item
    return None


def _read_header(file: Path, modality: str | None) -> list[DicomSlice] | str:
    """Read one file's slices, or say why it has none."""
    pydicom = import_medical("pydicom")
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
    except pydicom.errors.InvalidDicomError:
        return "no DICOM files"
    except OSError as error:
        raise UserError(f"{file}: unreadable ({error.strerror}); replace or remove it") from error
    try:
        reason = _reason_to_skip(header, modality)
        return reason or _slices(file, header)
    except Exception as error:  # pydicom reads values late, and each kind fails in its own way
        raise UserError(f"{file}: damaged header ({error}); replace or remove it") from error


def _reason_to_skip(header: Dataset, modality: str | None) -> str | None:
    if modality is not None and str(header.get("Modality", "")).upper() != modality.upper():
        return f"not of modality {modality}"
    kind = [str(part).upper() for part in header.get("ImageType") or []]
    if header.get("Rows") is None or int(header.get("SamplesPerPixel") or 1) != 1:
        return "without grey pixels"
    if "LOCALIZER" in kind or str(header.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE):
        return "scout views and screenshots"
    return None


def _slices(file: Path, header: Dataset) -> list[DicomSlice]:
    frames = int(header.get("NumberOfFrames") or 1)
    if frames == 1 and "PerFrameFunctionalGroupsSequence" not in header:
        number = header.get("InstanceNumber")
        place = header.get("ImagePositionPatient"), header.get("ImageOrientationPatient")
        return [_slice(file, header, None, *place, None if number is None else int(number))]
    found = []
    for frame in range(frames):
        position = functional_group(header, frame, "PlanePositionSequence")
        orientation = functional_group(header, frame, "PlaneOrientationSequence")
        found.append(
            _slice(
                file,
                header,
                frame,
                position and position.get("ImagePositionPatient"),
                orientation and orientation.get("ImageOrientationPatient"),
                frame,
            )
        )
    return found


def _slice(
    file: Path, header: Dataset, frame: int | None, position: Any, orientation: Any, number: Any
) -> DicomSlice:
    return DicomSlice(
        file,
        frame,
        str(header.get("PatientID") or "").strip(),
        str(header.get("StudyInstanceUID") or ""),
        str(header.get("SeriesInstanceUID") or ""),
        tuple(map(float, position)) if position and len(position) == 3 else None,
        tuple(map(float, orientation)) if orientation and len(orientation) == 6 else None,
        number,
    )


def _in_order(members: list[DicomSlice]) -> list[DicomSlice]:
    orientation = members[0].orientation
    if orientation is not None and all(one.position is not None for one in members):
        normal = _normal(orientation)
        towards_head = normal * (1 if normal[np.abs(normal).argmax()] > 0 else -1)
        # Rounded, so that noise in the last digits does not order slices of one position.
        return sorted(
            members,
            key=lambda one: (
                round(float(towards_head @ np.array(one.position)), 3),
                one.number or 0,
            ),
        )
    if all(one.number is not None for one in members):
        return sorted(members, key=lambda one: one.number or 0)
    return members


def _normal(orientation: tuple[float, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.cross(orientation[:3], orientation[3:])
