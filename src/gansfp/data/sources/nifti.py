"""Axial slices of NIfTI volumes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gansfp.data.sources.files import import_medical, list_files
from gansfp.data.sources.shaping import find_group
from gansfp.data.sources.volumes import AIR_TO_BONE, GreySlice, VolumeSource
from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

SUFFIXES = (".nii", ".nii.gz")


class NiftiSource(VolumeSource):
    """Axial slices of all `.nii` and `.nii.gz` files below a folder, from the feet to the head.

    Slices look as in radiology whatever way a volume is stored: the patient's right at the left
    edge, the front at the top. Voxels are taken for Hounsfield units. A volume whose axes are
    oblique is cut along the axis nearest to the body's.

    Args:
        path: The folder; subfolders are read too.
        group_regex: A regular expression that finds the patient in a file's relative path; its
            first bracketed part counts, or the whole match. None: the file's name without suffix.
        pattern: Only files whose name fits this shell pattern, such as `*_ct.nii.gz`.
        window: See `VolumeSource`, as for the others.
        slices: How many slices of each volume, or `all`.
        spread: `even` or `middle`.
        resize: Side in pixels, or None.
        crop: Cut the middle square out.
        limit: Take only so many slices, the first ones.
    """

    workers: ClassVar[int | None] = 1  # a whole volume each: memory, not CPUs, sets the limit

    def __init__(
        self,
        path: str,
        group_regex: str | None = None,
        pattern: str | None = None,
        window: Sequence[float] = AIR_TO_BONE,
        slices: int | str = "all",
        spread: str = "even",
        resize: int | None = None,
        crop: bool = False,
        limit: int | None = None,
    ) -> None:
        super().__init__(path, window, slices, spread, resize, crop, limit)
        self.group_regex = group_regex
        self.pattern = pattern or "*"

    def _jobs(self) -> Sequence[Path]:
        import_medical("nibabel")
        found = [
            file
            for file in list_files(self.path, self.pattern)
            if file.name.lower().endswith(SUFFIXES)
        ]
        if not found:
            raise UserError(
                f"{self.path}: no .nii or .nii.gz file fits source.pattern={self.pattern}"
            )
        return found

    def _run(self, file: Path) -> list[GreySlice]:
        name = file.relative_to(self.path).as_posix()
        stem = name[: -len(".nii.gz" if name.lower().endswith(".gz") else ".nii")]
        group = find_group(self.group_regex, name) if self.group_regex else stem
        volume, slope, intercept = _read_volume(file)
        return [
            self._grey(
                f"{stem}/{k + 1:04d}", group, str(file), volume[k].astype(float) * slope + intercept
            )
            for k in self._choose(len(volume))
        ]


def _read_volume(file: Path) -> tuple[NDArray[Any], float, float]:
    """Read a volume, shape (slices, H, W) as displayed, with the slope and intercept to apply.

    The stored numbers stay as they are, so that a volume of 16-bit numbers is not held as floats.

    Raises:
        UserError: It is unreadable or has not three dimensions.
    """
    nibabel = import_medical("nibabel")
    try:
        image = nibabel.load(file)
        stored = np.asanyarray(image.dataobj.get_unscaled())
        axes = nibabel.orientations.io_orientation(image.affine)
    except Exception as error:  # a broken file makes nibabel and gzip raise whatever it makes them
        raise UserError(f"{file}: unreadable ({error}); replace or remove it") from error
    while stored.ndim > 3 and stored.shape[-1] == 1:
        stored = stored[..., 0]
    if stored.ndim != 3 or stored.dtype.kind not in "biuf":
        raise UserError(
            f"{file}: shape {stored.shape}, {stored.dtype}; only volumes of numbers with three "
            "dimensions can be read"
        )
    if not image.header["sform_code"] and not image.header["qform_code"]:
        log.warning("%s: does not say how it is oriented; read as stored from right to left", file)
    turned = nibabel.orientations.apply_orientation(stored, axes)
    # Axes now point right, front and head. On screen x points to the patient's left, y to the back.
    return turned[::-1, ::-1].transpose(2, 1, 0), image.dataobj.slope, image.dataobj.inter
