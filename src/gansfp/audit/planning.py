"""Exposure of smaller releases, filtered or not, and of fewer patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.forge.kid import kernel_distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.audit.attack import Values
    from gansfp.audit.examination import Examination, Findings

BLOCKS = 16
"""The synthetic set is cut at random into so many parts; a smaller release is some of them."""

RELEASED = (1, 2, 4, 8, 16)
REPEATS = 3
PATIENTS = (0.25, 0.5)
PERMUTATIONS = 500
KID_IMAGES = 2000
"""Images of either side that KID is measured on, at most."""


def plan_release(
    examination: Examination,
    closest: Values,
    q: float,
    kept: NDArray[np.bool_] | None,
    features: int | None,
) -> list[dict[str, Any]]:
    """Audit smaller releases.

    Args:
        examination: The pool and the synthetic images.
        closest: log distances to all of them, shape (n, views).
        q: False discovery rate of the calls.
        kept: What a filter keeps, shape (m,); None: no row is filtered.
        features: Which view holds features for the kernel inception distance; None: it is left out.

    Returns:
        A row for each release: `released` images, whether `filtered`, `patients` asked about,
        `auroc` and `p` of the set (medians over draws), `called` (mean over draws), `share` (median
        of the lower ends), `kid` to the non-members, `draws`.
    """
    everything = np.ones(len(examination.synthetic[0]), dtype=bool)
    rows = []
    for mask in (everything,) if kept is None else (everything, kept):
        rows += _by_size(examination, mask, q, features, filtered=mask is not everything)
    return rows + [_of_patients(examination, closest, share, q, features) for share in PATIENTS]


def _by_size(
    examination: Examination,
    mask: NDArray[np.bool_],
    q: float,
    features: int | None,
    filtered: bool,
) -> list[dict[str, Any]]:
    rng = np.random.default_rng([examination.seed, 2])
    blocks = np.array_split(rng.permutation(np.flatnonzero(mask)), BLOCKS)
    blocks = [part for part in blocks if len(part)]
    near = [examination.closest(part) for part in blocks]
    rows = []
    for count in sorted({min(count, len(blocks)) for count in RELEASED}):
        draws = 1 if count == len(blocks) else REPEATS
        found, sizes, kids = [], [], []
        for _ in range(draws):
            chosen = rng.permutation(len(blocks))[:count]
            closest = np.minimum.reduce([near[k] for k in chosen])
            found.append(examination.findings(closest, q, PERMUTATIONS))
            released = np.concatenate([blocks[k] for k in chosen])
            sizes.append(len(released))
            kids.append(_kid(examination, released, features))
        rows.append(_row(found, int(np.mean(sizes)), examination, kids) | {"filtered": filtered})
    return rows


def _of_patients(
    examination: Examination, closest: Values, share: float, q: float, features: int | None
) -> dict[str, Any]:
    """Ask about some of the patients only: the generator stays what it is."""
    units = examination.units
    rng = np.random.default_rng([examination.seed, 3])
    candidates = np.flatnonzero(units.labels == 1)
    found = []
    size = max(1, round(share * len(candidates)))
    for _ in range(REPEATS):
        chosen = units.labels == 0
        chosen[rng.choice(candidates, size, replace=False)] = True
        asked = chosen[units.of_image]
        found.append(examination.part(asked).findings(closest[asked], q, PERMUTATIONS))
    everything = np.arange(len(examination.synthetic[0]))
    kid = _kid(examination, everything, features)
    row = _row(found, len(everything), examination, [kid])
    return row | {"filtered": False, "patients": size}


def _row(
    found: list[Findings], released: int, examination: Examination, kids: list[float | None]
) -> dict[str, Any]:
    known = [kid for kid in kids if kid is not None]
    return {
        "released": released,
        "filtered": False,
        "patients": int((examination.units.labels == 1).sum()),
        "auroc": _median([one.test.auroc.value for one in found]),
        "p": _median([one.test.p for one in found]),
        "called": round(float(np.mean([one.exposure.called.sum() for one in found])), 2),
        "share": _median([one.share.low for one in found]),
        "kid": round(float(np.mean(known)), 6) if known else None,
        "draws": len(found),
    }


def _kid(
    examination: Examination, released: NDArray[np.int64], features: int | None
) -> float | None:
    """Kernel inception distance of a release to the non-members."""
    others = np.flatnonzero(examination.labels == 0)
    if features is None or min(len(released), len(others)) < 2:
        return None
    synthetic = examination.synthetic[features][released[:KID_IMAGES]]
    return kernel_distance(synthetic, examination.pool[features][others[:KID_IMAGES]])


def _median(values: list[float]) -> float:
    return round(float(np.median(values)), 6)
