"""CT slices of DICOM files."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gansfp.data.sources.dicom_headers import DicomSlice, is_axial, read_headers, sorted_series
from gansfp.data.sources.dicom_pixels import load_slice
from gansfp.data.sources.files import import_medical, list_files
from gansfp.data.sources.volumes import AIR_TO_BONE, GreySlice, VolumeSource
from gansfp.errors import UserError

if TYPE_CHECKING:
    from collections import Counter

log = logging.getLogger(__name__)

GROUP_BY = ("patient", "study", "series")


class DicomSource(VolumeSource):
    """Axial slices of all CT series below a folder, each from the feet to the head.

    Files are known by what they hold, not by their names. Left out, with a count: files that are
    not DICOM, other modalities, objects without grey pixels, scout views, screenshots. Files of
    several frames (enhanced CT) are read frame by frame.

    The names and groups that a source gives end in a benchmark's card, and PatientIDs and file
    paths often tell who the patient is. `anonymise` therefore puts short hashes of the ids in their
    place. The hash has no key, so that a patient bears one name in every benchmark and copies can
    be found; whoever can guess an id can check the guess. It guards against carelessness, and is
    no de-identification of the files, whose pixels are published too.

    Args:
        path: The folder; subfolders are read too.
        modality: Only files of this modality; None takes all.
        plane: `axial` leaves out series cut in another plane; None takes all.
        group_by: Who is kept together: `patient` (PatientID), `study`, or `series`, for archives
            that gave all patients one id. Where the id is empty, the series.
        anonymise: Name patients and slices by hashes of their ids, not by ids and paths.
        window: See `VolumeSource`, as for the others.
        slices: How many slices of each series, or `all`.
        spread: `even` or `middle`.
        resize: Side in pixels, or None.
        crop: Cut the middle square out.
        limit: Take only so many slices, the first ones.
    """

    def __init__(
        self,
        path: str,
        modality: str | None = "CT",
        plane: str | None = "axial",
        group_by: str = "patient",
        anonymise: bool = True,
        window: Sequence[float] = AIR_TO_BONE,
        slices: int | str = "all",
        spread: str = "even",
        resize: int | None = None,
        crop: bool = False,
        limit: int | None = None,
    ) -> None:
        super().__init__(path, window, slices, spread, resize, crop, limit)
        if group_by not in GROUP_BY:
            raise UserError(f"source.group_by={group_by}: choose {', '.join(GROUP_BY)}")
        if plane not in (None, "axial"):
            raise UserError(f"source.plane={plane}: must be axial or null")
        self.modality, self.plane = modality, plane
        self.group_by, self.anonymise = group_by, anonymise

    def _jobs(self) -> Sequence[tuple[str, str, DicomSlice]]:
        """Choose the slices: name, group and slice of each."""
        import_medical("pydicom")
        files = [file for file in list_files(self.path) if file.name.upper() != "DICOMDIR"]
        slices, skipped = read_headers(files, self.modality)
        if self.plane is not None:
            axial = [one for one in slices if is_axial(one)]
            skipped["slices of another plane"] += len(slices) - len(axial)
            slices = axial
        self._report(skipped, len(slices))
        return [
            (self._name(series, k), self._group(series[k]), series[k])
            for series in sorted_series(slices)
            for k in self._choose(len(series))
        ]

    def _run(self, job: tuple[str, str, DicomSlice]) -> list[GreySlice]:
        name, group, one = job
        values, inverted = load_slice(one, padding=self.window[0])
        return [self._grey(name, group, str(one.file), values, inverted)]

    def _report(self, skipped: Counter[str], found: int) -> None:
        text = ", ".join(f"{count} {reason}" for reason, count in skipped.items() if count)
        if not found:
            raise UserError(f"{self.path}: no slice to read ({text or 'no file at all'})")
        if text:
            log.warning("%s: left out: %s", self.path, text)

    def _group(self, one: DicomSlice) -> str:
        value = {"patient": one.patient, "study": one.study, "series": one.series}[self.group_by]
        kind = self.group_by if value else "series"
        value = value or one.series
        return f"{kind}_{short_hash(value)}" if self.anonymise else value

    def _name(self, series: list[DicomSlice], k: int) -> str:
        one = series[k]
        if self.anonymise:
            return f"{self._group(one)}/{short_hash(one.series)}/{k + 1:04d}"
        name = one.file.relative_to(self.path).as_posix()
        return name if one.frame is None else f"{name}/{one.frame + 1:04d}"


def short_hash(value: str) -> str:
    """Hash an id to 12 hexadecimal digits: the same in every forge."""
    return hashlib.blake2b(value.encode(), digest_size=6).hexdigest()
