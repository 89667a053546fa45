"""Which candidates do the shadow generators know? By hash, and refused where it would tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gansfp.data.decode import Picture
from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark
    from gansfp.forge.bank import Bank

    Rows = NDArray[np.int64]


class Overlap(NamedTuple):
    """Where the candidates of a benchmark are in a bank.

    Attributes:
        rows: The candidates, labelled and test, ascending, shape (c,).
        position: Real image of the bank with the same pixels, or -1, shape (c,).
        patient: A real image of the bank of the same patient, or -1, shape (c,): another slice of
            the patient was trained on by the same generators.
    """

    rows: Rows
    position: Rows
    patient: Rows


def find_overlap(benchmark: Benchmark, bank: Bank) -> Overlap:
    """Match candidates with a bank's real images: by pixels, then by the groups of those matched.

    Both the picture in the file and the picture as it was resized are looked up.
    """
    rows = np.sort(np.concatenate([benchmark.candidates(part) for part in ("train", "test")]))
    where = {Picture(image, "L").pixel_hash: k for k, image in enumerate(bank.real)}
    own = benchmark.index.frame["pixel_hash"].to_numpy(dtype=object)[rows]
    resized = [Picture(image, "L").pixel_hash for image in benchmark.images(rows)]
    found = [where.get(one, where.get(two, -1)) for one, two in zip(own, resized, strict=True)]
    position = np.array(found, dtype=np.int64)
    groups = benchmark.groups(rows)
    sibling = {groups[k]: place for k, place in enumerate(position) if place >= 0}
    patient = np.array([sibling.get(group, -1) for group in groups], dtype=np.int64)
    return Overlap(rows, position, patient)


def check_overlap(benchmark: Benchmark, bank: Bank, overlap: Overlap, place: str) -> None:
    """Refuse a bank that knows some candidates and not others.

    A bank may be forged from all candidates, each known to some of its generators and unknown to
    others, or from none. Anything between is a label: a reference generator that was trained on
    non-members alone, for instance, scores these apart from the rest. The labelled and the test
    images are judged one by one.

    Raises:
        UserError: Names how many, and one of them.
    """
    frame = benchmark.index.frame
    split = frame["split"].to_numpy(dtype=object)[overlap.rows]
    for part, what in (("test", "test"), ("train", "labelled")):
        inside = overlap.patient[split == part] >= 0
        if not inside.any():
            continue
        here = overlap.rows[split == part]
        if not inside.all():
            example = frame["sample_id"].iloc[here[inside][0]]
            raise UserError(
                f"method.bank={place}: {inside.sum()} of {len(inside)} {what} images, such as "
                f"{example}, are of patients that its generators were forged from, the others are "
                "not, and scores would tell them apart by that; forge the bank from all candidates "
                "or from none"
            )
        known = bank.membership[:, overlap.patient[split == part]].sum(axis=0)
        lonely = (known == 0) | (known == len(bank.membership))
        if lonely.any():
            example = frame["sample_id"].iloc[here[lonely][0]]
            raise UserError(
                f"method.bank={place}: {lonely.sum()} {what} images, such as {example}, are known "
                "to all of its generators or to none; forge a bank of an even number of them"
            )
