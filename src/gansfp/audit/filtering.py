"""Which synthetic images not to release, and an audit of the rest by other non-members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gansfp.audit.examination import Examination, Findings
from gansfp.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gansfp.audit.attack import Values, Vectors

    Rows = NDArray[np.int64]

ROUNDS = 20
_FIRST_NEIGHBOURS = 8


@dataclass(frozen=True)
class Filtered:
    """A filtered set, judged by non-members that had no part in the filtering.

    Attributes:
        kept: Which synthetic images may stay, shape (m,).
        protected: Units of `real` for whose sake images were removed.
        deciding: Number of non-members that decided.
        judging: Number of the others.
        before: What the whole set shows to the others.
        after: What the filtered set shows to them.
    """

    kept: NDArray[np.bool_]
    protected: int
    deciding: int
    judging: int
    before: Findings
    after: Findings


def filter_set(examination: Examination, closest: Values, q: float, permutations: int) -> Filtered:
    """Remove the synthetic images that give exposed patients away, and audit again.

    Half of the non-members, by patient, decide who is exposed. Every synthetic image goes that is
    nearer to an image of these patients, in any view, than would give a non-member's median score;
    then the half is asked again. The other half judges the result: a re-audit by the deciding half
    would find nothing whatever was left, since it chose what to remove.

    Args:
        examination: The pool and the synthetic images.
        closest: log distances to them, shape (n, views).
        q: False discovery rate of the calls.
        permutations: Of the tests.

    Raises:
        UserError: There are fewer than two non-members, or nothing would be left.
    """
    deciders, judges = _halves(examination)
    deciding, judging = examination.part(deciders), examination.part(judges)
    kept = np.ones(len(examination.synthetic[0]), dtype=bool)
    protected: set[str] = set()
    near = closest[deciders]
    for _ in range(ROUNDS):
        called = _called_images(deciding, near, q)
        if not len(called):
            break
        protected |= set(deciding.groups[called].tolist())
        kept[_too_near(deciding, near, called, kept)] = False
        if not kept.any():
            raise UserError("filter=true: every synthetic image gives somebody away; none is left")
        near = deciding.closest(np.flatnonzero(kept))
    after = judging.closest(np.flatnonzero(kept))
    return Filtered(
        kept,
        len(protected),
        int((deciding.units.labels == 0).sum()),
        int((judging.units.labels == 0).sum()),
        judging.findings(closest[judges], q, permutations),
        judging.findings(after, q, permutations),
    )


def _halves(examination: Examination) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """`real` with one half of the non-members, and with the other; masks of shape (n,)."""
    units = examination.units
    others = np.flatnonzero(units.labels == 0)
    if len(others) < 2:
        raise UserError("filter=true needs two non-members or more: nonmembers=DIR")
    order = np.random.default_rng([examination.seed, 1]).permutation(others)
    masks = []
    for half in (order[: (len(order) + 1) // 2], order[(len(order) + 1) // 2 :]):
        chosen = units.labels == 1
        chosen[half] = True
        masks.append(chosen[units.of_image])
    return masks[0], masks[1]


def _called_images(examination: Examination, near: Values, q: float) -> Rows:
    """Images of the exposed patients."""
    from gansfp.audit.exposure import exposed

    labels = examination.units.labels
    score = examination.units.score(examination.scale(near).score(near))
    called = np.zeros(len(labels), dtype=bool)
    called[labels == 1] = exposed(score, labels, q).called
    return np.flatnonzero(called[examination.units.of_image])


def _too_near(examination: Examination, near: Values, rows: Rows, kept: NDArray[np.bool_]) -> Rows:
    """Synthetic images, of those kept, that are nearer than a non-member's median score allows."""
    scale = examination.scale(near)
    typical = float(np.median(scale.score(near)[examination.labels == 0]))
    radius = np.exp(scale.least(typical)[rows])
    left = np.flatnonzero(kept)
    found: set[int] = set()
    for view in range(radius.shape[1]):
        references = examination.synthetic[view][left]
        queries = examination.pool[view][rows]
        found |= _within(examination, view, queries, references, radius[:, view])
    return left[sorted(found)]


def _within(
    examination: Examination, view: int, queries: Vectors, references: Vectors, radius: Values
) -> set[int]:
    """Positions of the references that lie inside the radius of any query."""
    k = _FIRST_NEIGHBOURS
    compare = examination.attack.view(view)
    while True:
        k = min(k, len(references), compare.most)
        distance, index = compare.neighbours(queries, references, k)
        inside = distance < radius[:, None]
        if k in (len(references), compare.most) or not inside[:, -1].any():
            return set(index[inside].tolist())
        k *= 2
