"""Where does a method see: the area under the ROC curve in strata of density or burden."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from gansfp.errors import UserError
from gansfp.evaluation.idfile import image_key
from gansfp.evaluation.intervals import delong
from gansfp.evaluation.result import Measured, plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark

    Values = NDArray[np.float64]

STRATA = 10
"""Deciles, where there are images enough."""

FEWEST = 20
"""Images of a stratum: with fewer, its interval spans everything."""

NEIGHBOUR, SIDE = 5, 32
"""Which real neighbour tells the density, and the side in pixels that images are averaged to."""

DENSITY = "local density"


class Stratum(TypedDict):
    """Images whose value lies in a range.

    Attributes:
        low: Smallest value.
        high: Largest.
        n: Number of images.
        used: How many of them were used.
        auroc: Area under the ROC curve with its 95 % interval (DeLong, by patient where groups are
            known); None where one kind is missing.
    """

    low: float
    high: float
    n: int
    used: int
    auroc: Measured | None


def stratify(
    truth: NDArray[np.int64],
    score: Values,
    value: Values,
    groups: NDArray[np.str_] | None = None,
    strata: int = STRATA,
) -> list[Stratum]:
    """Measure a score in strata of about equal size.

    The intervals are for one stratum each; the best or worst of ten is extreme by chance.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        score: Higher means used, shape (n,).
        value: What the images are ordered by, shape (n,); equal values stay together, images
            without one (NaN) are left out.
        groups: Patient of each image, shape (n,), or None.
        strata: At most so many; fewer where one would have less than 20 images.
    """
    known = np.flatnonzero(np.isfinite(value))
    count = max(1, min(strata, len(known) // FEWEST))
    if not len(known):
        return []
    edges = np.unique(np.quantile(value[known], np.arange(1, count) / count))
    stratum = np.searchsorted(edges, value[known], side="left")
    found = []
    for number in np.unique(stratum):
        rows = known[stratum == number]
        found.append(_measured(truth[rows], score[rows], value[rows], groups, rows))
    return found


def read_covariates(path: Path, names: Sequence[str]) -> dict[str, Values]:
    """Read what else is known of images.

    Args:
        path: CSV with a header: the file's name first, with or without folder and extension, then
            columns of numbers; empty cells are not known.
        names: Image ids, n of them.

    Returns:
        Values by column, each of shape (n,), NaN where an image is not in the table.

    Raises:
        UserError: The file is missing, has no such columns, or holds what is no number.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype={0: str})
    except (OSError, ValueError) as error:
        raise UserError(f"evaluator.strata={path}: cannot be read ({error})") from error
    if table.shape[1] < 2 or not len(table):
        raise UserError(f"evaluator.strata={path}: needs a column of files and one of numbers")
    keys = pd.Index([image_key(str(name)) for name in table.iloc[:, 0]])
    if not keys.is_unique:
        raise UserError(f"evaluator.strata={path}: {keys[keys.duplicated()][0]} is there twice")
    place = keys.get_indexer(pd.Index([image_key(name) for name in names]))
    found: dict[str, Values] = {}
    for column in table.columns[1:]:
        try:
            values = pd.to_numeric(table[column]).to_numpy(np.float64)
        except (ValueError, TypeError) as error:
            raise UserError(f"evaluator.strata={path}: {column}: {error}") from error
        found[str(column)] = np.where(place >= 0, values[place], np.nan)
    return found


def _measured(
    truth: NDArray[np.int64],
    score: Values,
    value: Values,
    groups: NDArray[np.str_] | None,
    rows: NDArray[np.int64],
) -> Stratum:
    both = len(np.unique(truth)) == 2
    area = delong(truth, score, None if groups is None else groups[rows]) if both else None
    stratum: Stratum = plain(
        {
            "low": value.min(),
            "high": value.max(),
            "n": len(truth),
            "used": int(truth.sum()),
            "auroc": None if area is None else list(area),
        }
    )
    return stratum


def local_density(benchmark: Benchmark, rows: NDArray[np.int64]) -> Values:
    """Estimate how dense the real images are around each: minus log d_5, up to a constant.

    d_5 is the distance of pixels to the fifth nearest real image of another patient, or to the
    last where there are fewer; no label is read. Sparse regions are where generators memorise
    (van Breugel et al., AISTATS 2023).

    Args:
        benchmark: A membership benchmark.
        rows: Images, shape (n,).

    Returns:
        Shape (n,).
    """
    from gansfp.features.neighbours import Exclusion, nearest
    from gansfp.features.representations import Pixels

    real = np.concatenate([benchmark.candidates("train"), benchmark.candidates("test")])
    pixels = Pixels(min(SIDE, *benchmark.image_size))
    keys = [benchmark.groups(part) for part in (rows, real)]
    largest = int(np.unique(keys[1], return_counts=True)[1].max())
    k = min(NEIGHBOUR, len(real) - largest)
    if k < 1:
        return np.full(len(rows), np.nan)
    vectors = [pixels.encode(benchmark.images(part)) for part in (rows, real)]
    distance = nearest(vectors[0], vectors[1], k, Exclusion(keys[0], keys[1]))[0][:, -1]
    return np.asarray(-np.log(np.maximum(distance, np.finfo(np.float32).tiny)))
