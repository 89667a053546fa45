"""Pixels of DICOM slices: Hounsfield units, the right way up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.data.sources.dicom_headers import DicomSlice, functional_group
from gansfp.data.sources.files import import_medical
from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

# What decodes the compressed pixels that pydicom cannot read with Pillow and numpy alone.
_PLUGINS = (
    ("JPEG-LS", "pyjpegls"),
    ("JPEG 2000", "pylibjpeg pylibjpeg-openjpeg"),
    ("JPEG", "pylibjpeg pylibjpeg-libjpeg"),
    ("RLE", "pylibjpeg pylibjpeg-rle"),
)


def load_slice(one: DicomSlice, padding: float) -> tuple[NDArray[np.float32], bool]:
    """Decode a slice.

    Args:
        one: The slice.
        padding: The value that pixels outside the reconstruction get (PixelPaddingValue).

    Returns:
        Hounsfield units, float32, shape (H, W), with the patient's right at the left edge and the
        front at the top; and whether the file wants low values shown bright (MONOCHROME1).

    Raises:
        UserError: The pixels cannot be decoded, or their units are not stated.
    """
    pydicom = import_medical("pydicom")
    try:
        # The header apart, so that of a file with many frames only the one is read.
        dataset = pydicom.dcmread(one.file, stop_before_pixels=True)
        stored = import_medical("pydicom.pixels").pixel_array(one.file, index=one.frame)
    except Exception as error:  # damaged values, or a decoder that is missing
        raise UserError(_why_unreadable(one, error)) from error
    if stored.ndim != 2:
        raise UserError(f"{one.file}: pixels of shape {stored.shape}; only grey images can be read")
    slope, intercept = _rescale(dataset, one)
    values = (stored * slope + intercept).astype(np.float32)
    values[_is_padding(dataset, stored)] = padding
    inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
    return (values if one.orientation is None else upright(values, one.orientation)), inverted


def upright(values: NDArray[Any], orientation: tuple[float, ...]) -> NDArray[Any]:
    """Turn an axial slice so that x points to the patient's left and y to the back.

    Args:
        values: Shape (H, W).
        orientation: Direction of the rows, then of the columns (ImageOrientationPatient).
    """
    right, down = np.array(orientation[:3]), np.array(orientation[3:])
    if abs(right[0]) < abs(right[1]) and abs(down[1]) < abs(down[0]):
        values, right, down = values.T, down, right
    if right[0] < 0:
        values = values[:, ::-1]
    if down[1] < 0:
        values = values[::-1]
    return values


def _rescale(dataset: Dataset, one: DicomSlice) -> tuple[float, float]:
    """Find slope and intercept; only CT files must have them."""
    home = dataset
    if one.frame is not None:
        home = functional_group(dataset, one.frame, "PixelValueTransformationSequence") or dataset
    slope, intercept = home.get("RescaleSlope"), home.get("RescaleIntercept")
    if slope is not None and intercept is not None:
        return float(slope), float(intercept)
    if dataset.get("Modality") == "CT":
        raise UserError(
            f"{one.file}: no RescaleSlope and RescaleIntercept, so its Hounsfield units are not "
            "known; remove it"
        )
    return 1.0, 0.0


def _is_padding(dataset: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the padding: one stored value, or all between two (PS3.3 C.7.5.1.1.2)."""
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return np.zeros(stored.shape, dtype=bool)
    last = dataset.get("PixelPaddingRangeLimit", first)
    low, high = sorted((int(first), int(last)))
    return np.asarray((stored >= low) & (stored <= high))


def _why_unreadable(one: DicomSlice, error: Exception) -> str:
    pydicom = import_medical("pydicom")
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    try:
        header = pydicom.dcmread(one.file, stop_before_pixels=True, specific_tags=[])
        syntax = header.file_meta.TransferSyntaxUID
    except Exception:  # the file is so damaged that its first error says it best
        return f"{one.file}: unreadable ({reason}); replace or remove it"
    plugin = next((p for name, p in _PLUGINS if syntax.is_compressed and name in syntax.name), None)
    cure = f"pip install {plugin}" if plugin else "replace or remove it"
    return f"{one.file}: pixels compressed as {syntax.name} cannot be read ({reason}); {cure}"
