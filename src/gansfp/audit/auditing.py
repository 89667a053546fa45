"""One audit from images to `audit.json`: every question in turn."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.audit.canaries import canary_facts
from gansfp.audit.describing import describe
from gansfp.audit.examination import Examination, Findings, nearest_pairs
from gansfp.audit.filtering import Filtered, filter_set
from gansfp.audit.planning import plan_release
from gansfp.audit.planted import planted_power
from gansfp.errors import UserError
from gansfp.evaluation.blind import blind_features, cross_scores
from gansfp.evaluation.intervals import Interval, delong
from gansfp.evaluation.power import smallest_auroc

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gansfp.audit.attack import Attack, Values, Vectors
    from gansfp.audit.sets import AuditSets

log = logging.getLogger(__name__)

SCHEMA = 1
ALPHA = 0.05


@dataclass(frozen=True)
class Options:
    """What is asked of an audit.

    Attributes:
        q: False discovery rate at which patients are called exposed.
        patients: How the scores of a patient's images become one: `mean` or `max`.
        filter: Also choose what not to release, and audit the rest.
        plan: Also audit smaller releases.
        permutations: Of the test of the set.
        seed: Of folds, permutations and planted copies.
    """

    q: float = 0.05
    patients: str = "mean"
    filter: bool = False
    plan: bool = False
    permutations: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.q < 1.0:
            raise UserError(f"q={self.q}: a false discovery rate lies between 0 and 1")
        if self.permutations < 100:
            raise UserError(f"permutations={self.permutations}: take 100 or more")


@dataclass(frozen=True)
class Audited:
    """An audit's outcome.

    Attributes:
        facts: What `audit.json` holds.
        image_score: Score of each real image and non-member, shape (n,); None without non-members.
        p: p-value of each real image's patient, shape (images of `real`,), or None.
        called: Whether that patient is called exposed, likewise, or None.
        kept: Which synthetic images may be released, shape (m,); None: no filter was asked for.
    """

    facts: dict[str, Any]
    image_score: Values | None = None
    p: Values | None = None
    called: NDArray[np.bool_] | None = None
    kept: NDArray[np.bool_] | None = None


def audit(
    sets: AuditSets,
    attack: Attack,
    options: Options,
    marked: NDArray[np.bool_] | None = None,
    progress: Callable[[str], None] = log.info,
) -> Audited:
    """Audit a synthetic set.

    Args:
        sets: The images.
        attack: How they are compared.
        options: What is asked.
        marked: Which real images and non-members carry a canary, shape (n,), or None.
        progress: Told what comes next.

    Raises:
        UserError: Something is asked that needs non-members, and there are none.
    """
    if sets.nonmembers is None:
        _refuse_without_nonmembers(options, marked)
    progress(f"looking at {len(sets.real)} real images" + _others(sets))
    pool = attack.encode(sets.pixels)
    progress(f"looking at {len(sets.synthetic)} synthetic images")
    synthetic = attack.encode(sets.synthetic.pixels)
    facts = {"schema": SCHEMA, "inputs": _inputs(sets), "exact_copies": _copies(sets)}
    progress("near copies")
    facts["description"] = _described(sets, attack, pool, synthetic)
    if sets.nonmembers is None:
        return Audited(facts | {"verdict": _verdict(sets, None)})
    progress("distances among the real images")
    examination = Examination.of(
        attack, pool, synthetic, sets.groups, sets.labels, options.patients, options.seed
    )
    return _Work(sets, options, marked, progress, examination).done(facts)


@dataclass(frozen=True)
class _Work:
    """An audit with non-members, once everything is encoded."""

    sets: AuditSets
    options: Options
    marked: NDArray[np.bool_] | None
    progress: Callable[[str], None]
    examination: Examination

    def done(self, facts: dict[str, Any]) -> Audited:
        """Answer the questions."""
        examination, options = self.examination, self.options
        self.progress("distances to the synthetic images")
        closest = examination.closest()
        found = examination.findings(closest, options.q, options.permutations)
        facts |= {"verdict": _verdict(self.sets, found), "set": _set_facts(found)}
        facts["exposure"] = self._exposure(found)
        self.progress("power: planted copies")
        facts["power"] = self._power(closest, found)
        self.progress("are the non-members comparable?")
        facts["comparable"] = self._comparable()
        if self.marked is not None:
            facts["canaries"] = canary_facts(examination, found, self.marked)
        filtered = None
        if options.filter:
            self.progress("filtering")
            filtered = filter_set(examination, closest, options.q, options.permutations)
            facts["filter"] = _filter_facts(filtered)
        if options.plan:
            self.progress("smaller releases")
            kept = None if filtered is None else filtered.kept
            features = _position(examination.attack.views, "features")
            facts["plan"] = plan_release(examination, closest, options.q, kept, features)
        of_real = examination.units.of_image[examination.labels == 1]
        number = np.cumsum(examination.units.labels == 1) - 1
        return Audited(
            facts,
            found.image_score,
            found.exposure.p[number[of_real]],
            found.exposure.called[number[of_real]],
            None if filtered is None else filtered.kept,
        )

    def _exposure(self, found: Findings) -> dict[str, Any]:
        exposure, units = found.exposure, self.examination.units
        return {
            "q": self.options.q,
            "unit": "patient" if self.sets.grouped else "image",
            "tested": len(exposure.p),
            "nonmembers": exposure.known,
            "called": int(exposure.called.sum()),
            "fewest_calls": exposure.fewest,
            "combine": units.combine,
            "equal_sizes": units.equal,
            "exposed": self._exposed(found),
        }

    def _exposed(self, found: Findings) -> list[dict[str, Any]]:
        """Name the exposed patients, clearest first, each with its nearest synthetic image."""
        examination, exposure = self.examination, found.exposure
        units = np.flatnonzero(examination.units.labels == 1)
        order = np.lexsort((-found.score[units], exposure.p))
        rows = []
        for position in order[exposure.called[order]]:
            images = np.flatnonzero(examination.units.of_image == units[position])
            pairs = nearest_pairs(examination, images)
            best = min(range(len(images)), key=lambda k: pairs[k][1])
            rows.append(
                {
                    "patient": str(examination.groups[images[0]]),
                    "images": [self.sets.real.names[row] for row in images],
                    "score": round(float(found.score[units[position]]), 4),
                    "p": round(float(exposure.p[position]), 8),
                    "adjusted": round(float(exposure.adjusted[position]), 8),
                    "nearest": _pair(self.sets, int(images[best]), *pairs[best]),
                }
            )
        return rows

    def _power(self, closest: Values, found: Findings) -> dict[str, Any]:
        labels = self.examination.units.labels
        used, others = int((labels == 1).sum()), int((labels == 0).sum())
        area = smallest_auroc(used, others)
        planted = planted_power(self.examination, closest, self.sets.pixels, self.options.q)
        return {
            "fewest_calls": found.exposure.fewest,
            "smallest_auroc": None if area is None else round(area, 4),
            "planted": planted.facts(),
        }

    def _comparable(self) -> dict[str, Any] | None:
        """Whether real images and non-members differ in themselves, without a synthetic image."""
        labels, groups = self.examination.labels, self.examination.groups
        if min(len(set(groups[labels == label])) for label in (0, 1)) < 10:
            return None
        scores = cross_scores(blind_features(self.sets.pixels), labels, groups, self.options.seed)
        return _interval(delong(labels, scores, groups))


def _refuse_without_nonmembers(options: Options, marked: NDArray[np.bool_] | None) -> None:
    asked = {
        "filter=true": options.filter,
        "plan=true": options.plan,
        "canaries": marked is not None,
    }
    for name, wanted in asked.items():
        if wanted:
            raise UserError(f"{name} needs images that were not used: nonmembers=DIR")


def _others(sets: AuditSets) -> str:
    return "" if sets.nonmembers is None else f" and {len(sets.nonmembers)} non-members"


def _inputs(sets: AuditSets) -> dict[str, Any]:
    named = {"real": sets.real, "synthetic": sets.synthetic, "nonmembers": sets.nonmembers}
    return {
        "size": list(sets.real.pixels.shape[1:]),
        "patients_known": sets.grouped,
        **{
            name: None
            if images is None
            else {
                "images": len(images),
                "patients": len(set(images.groups)) if name != "synthetic" else None,
                "fingerprint": images.fingerprint,
            }
            for name, images in named.items()
        },
    }


def _copies(sets: AuditSets) -> list[dict[str, str]]:
    return [{"real": real, "synthetic": name} for real, name in sets.exact_copies]


def _described(
    sets: AuditSets, attack: Attack, pool: list[Vectors], synthetic: list[Vectors]
) -> dict[str, Any]:
    count = len(sets.real)
    real = [vectors[:count] for vectors in pool]
    found = describe(attack, real, synthetic, sets.groups[:count])
    found["pairs"] = [
        _pair(sets, pair["real"], pair["synthetic"], pair["distance"]) | {"ratio": pair["ratio"]}
        for pair in found["pairs"]
    ]
    return found


def _pair(sets: AuditSets, real: int, synthetic: int, distance: float) -> dict[str, Any]:
    """Name a real and a synthetic image; the distance sqrt(2 - 2 r) gives their correlation r."""
    return {
        "real": sets.real.names[real],
        "patient": sets.real.groups[real],
        "synthetic": sets.synthetic.names[synthetic],
        "distance": round(distance, 6),
        "correlation": round(1 - distance**2 / 2, 6),
    }


def _set_facts(found: Findings) -> dict[str, Any]:
    test = found.test
    return {
        "p": round(test.p, 8),
        "looks": {name: round(p, 8) for name, p in test.looks.items()},
        "reverse_p": round(test.reverse_p, 8),
        "auroc": _interval(test.auroc),
        "share": _interval(found.share),
    }


def _filter_facts(filtered: Filtered) -> dict[str, Any]:
    return {
        "removed": int((~filtered.kept).sum()),
        "kept": int(filtered.kept.sum()),
        "protected": filtered.protected,
        "deciding_nonmembers": filtered.deciding,
        "judging_nonmembers": filtered.judging,
        "before": _judged(filtered.before),
        "after": _judged(filtered.after),
    }


def _judged(found: Findings) -> dict[str, Any]:
    called, fewest = int(found.exposure.called.sum()), found.exposure.fewest
    return _set_facts(found) | {"called": called, "fewest_calls": fewest}


def _verdict(sets: AuditSets, found: Findings | None) -> str:
    """`copies`, `leak`, `no_leak_seen` or `inconclusive`."""
    if sets.exact_copies:
        return "copies"
    if found is None:
        return "inconclusive"
    leaks = found.test.p <= ALPHA or bool(found.exposure.called.any())
    return "leak" if leaks else "no_leak_seen"


def _interval(interval: Interval) -> dict[str, float]:
    return {
        name: round(float(end), 6)
        for name, end in zip(("value", "low", "high"), interval, strict=True)
    }


def _position(names: Any, name: str) -> int | None:
    return list(names).index(name) if name in names else None
