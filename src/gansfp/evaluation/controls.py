"""Controls: experiments that must come out at chance if a result is to be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gansfp.evaluation.blind import blind_features, cross_scores, fit_and_score
from gansfp.evaluation.idfile import natural_key
from gansfp.evaluation.intervals import delong
from gansfp.evaluation.permutation import Blocks
from gansfp.evaluation.ranking import midranks
from gansfp.evaluation.result import Control, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from gansfp.data.benchmark import Benchmark

SPLITS = 20
FEWEST_STRETCHES = 16  # of fewer, no order is rare enough to be found
ORDER_PERMUTATIONS = 1_000
# Bonferroni: a sound membership result passes its four controls together with probability 0.95.
LEVEL = 1.0 - 0.05 / 4


def membership_controls(
    truth: NDArray[np.int64],
    score: NDArray[np.float64],
    groups: NDArray[np.str_],
    sample_ids: Sequence[str],
    blind: Callable[[], Control | None],
    seed: int = 0,
) -> dict[str, Control]:
    """Run the cheap controls of a membership result.

    Args:
        truth: 1 = used, 0 = not used; shape (n,).
        score: Higher means used, shape (n,).
        groups: Patient of each image, shape (n,).
        sample_ids: Image ids, n of them.
        blind: Runs the blind baseline on the same images.
        seed: Seed of splits and permutations.
    """
    ids = np.asarray(sample_ids, dtype=object)

    def along_order(chosen: NDArray[np.bool_], which: str) -> Control | None:
        return order_halves(score[chosen], groups[chosen], list(ids[chosen]), which, seed)

    found = {
        "blind": blind(),
        "members": along_order(truth == 1, "used"),
        "non_members": along_order(truth == 0, "unused"),
        "file_order": file_order(truth, groups, sample_ids, seed),
    }
    return {name: control for name, control in found.items() if control is not None}


def attribution_controls(
    truth: NDArray[np.int64],
    decision: NDArray[np.int64],
    groups: NDArray[np.str_],
    sample_ids: Sequence[str],
    seed: int = 0,
) -> dict[str, Control]:
    """Run the cheap controls of an attribution result.

    Args:
        truth: Class positions, shape (n,).
        decision: Class positions, shape (n,).
        groups: Patient of each image, shape (n,).
        sample_ids: Image ids, n of them.
        seed: Seed of splits and permutations.
    """
    right = (decision == truth).astype(np.float64)
    found = {
        "halves": order_halves(right, groups, sample_ids, "attributed", seed, strata=truth),
        "file_order": file_order(truth, groups, sample_ids, seed),
    }
    return {name: control for name, control in found.items() if control is not None}


def invalid_reason(controls: Mapping[str, Control]) -> str | None:
    """Say which controls failed, in one line; None where none did."""
    failed = [
        f"{name} {control['value']:.3f} [{control['low']:.3f}, {control['high']:.3f}] excludes "
        f"{control['chance']:.3f}"
        for name, control in controls.items()
        if not control["passed"]
    ]
    return "; ".join(failed) or None


def blind_on_test(
    benchmark: Benchmark,
    test_rows: NDArray[np.int64],
    truth: NDArray[np.int64],
    groups: NDArray[Any] | None,
) -> Control | None:
    """Fit the blind baseline on the labelled real images and score the test images.

    Args:
        benchmark: A membership benchmark.
        test_rows: Rows of the test images, shape (n,).
        truth: 1 = used, 0 = not used; shape (n,).
        groups: Patient of each test image, shape (n,), or None.

    Returns:
        The area under the ROC curve with its interval; None without labelled images of both kinds.
    """
    fit_rows = benchmark.candidates("train")
    labels = (benchmark.labels(fit_rows) == "used").astype(np.int64)
    if len(np.unique(labels)) < 2 or len(np.unique(truth)) < 2:
        return None
    score = fit_and_score(
        blind_features(benchmark.images(fit_rows)),
        labels,
        blind_features(benchmark.images(test_rows)),
    )
    return blind_control(truth, score, groups, "fitted on the labelled real images")


def blind_on_labelled(benchmark: Benchmark, seed: int = 0) -> Control | None:
    """Score the labelled real images out of fold; None where either kind has one patient."""
    rows = benchmark.candidates("train")
    labels = (benchmark.labels(rows) == "used").astype(np.int64)
    groups = benchmark.groups(rows)
    if min(len(np.unique(groups[labels == kind])) for kind in (0, 1)) < 2:
        return None
    score = cross_scores(blind_features(benchmark.images(rows)), labels, groups, seed)
    return blind_control(labels, score, groups, "out of fold on the labelled real images")


def blind_control(
    truth: NDArray[np.int64], score: NDArray[np.float64], groups: NDArray[Any] | None, how: str
) -> Control:
    """Judge scores that were made without synthetic images."""
    return _control(
        *delong(truth, score, groups, LEVEL),
        chance=0.5,
        what=f"AUROC of a classifier that never sees a synthetic image, {how}",
    )


def shuffled_labels(areas: NDArray[np.float64]) -> Control:
    """Judge a pipeline by its areas under the ROC curve after fits on shuffled labels.

    Args:
        areas: Against the shuffled labels, one a refit, shape (k,), k even: each shuffle is
            followed by its opposite.

    Returns:
        Their mean with Student's t interval over pairs.
    """
    from scipy.stats import t

    pairs = areas.reshape(-1, 2).mean(axis=1)
    mean, spread = float(pairs.mean()), float(pairs.std(ddof=1)) / np.sqrt(len(pairs))
    half = float(t.ppf((1 + LEVEL) / 2, len(pairs) - 1)) * spread + 1e-9  # rounding is no leak
    return _control(
        mean,
        mean - half,
        mean + half,
        chance=0.5,
        what=f"AUROC on labelled images of the whole pipeline, fitted {len(areas)} times on "
        "shuffled labels, against these",
    )


def order_halves(
    score: NDArray[np.float64],
    groups: NDArray[np.str_],
    sample_ids: Sequence[str],
    which: str,
    seed: int,
    strata: NDArray[np.int64] | None = None,
) -> Control | None:
    """Tell halves of the file order apart by the score, among images alike in truth.

    Random halves differ by chance alone and could fail no method. Halves along the order of the
    file names differ where a score follows that order: a method that reads names, positions in a
    list or batches, or files that were written in another way as the work went on.

    The patients, in natural order of their names, form a circle of up to 40 stretches of
    neighbours (of 4 or more, where there are so many), which up to 20 splits cut in halves. The
    null distribution of the most unequal split comes from stretches in random order, so that
    neighbours that resemble each other, such as slices of one patient in a data set without
    `groups.csv`, raise no alarm up to the length of a stretch. Names in the order of scanners may
    raise one: the score then differs between scanners.

    Args:
        score: Scores of images of one truth or, with strata, of several; shape (n,).
        groups: Patient of each image, shape (n,).
        sample_ids: Image ids, n of them.
        which: Which images they are, in words.
        seed: Seed of the permutations.
        strata: Truth of each image, where it is not the same, shape (n,): an image's score is then
            ranked among those of its truth, so that easy and hard classes are no order.

    Returns:
        AUROC of the most unequal split; the interval is the spread under the null, moved to the
        value. None for fewer than 16 patients.
    """
    rng = np.random.default_rng(seed)
    patients = _patients_in_order(groups, sample_ids, rng)
    known = int(patients.max()) + 1
    if known < FEWEST_STRETCHES:
        return None
    count = min(2 * SPLITS, max(FEWEST_STRETCHES, known // 8 * 2))
    stretch = patients * count // known
    ranks = _shares(score, np.zeros(len(score), np.int64) if strata is None else strata)
    sums = np.bincount(stretch, ranks, minlength=count).astype(np.float64)
    sizes = np.bincount(stretch, minlength=count).astype(np.float64)
    observed = _half_circles(sums[None], sizes[None])[0]
    value = observed[np.abs(observed - 0.5).argmax()]
    order = rng.permuted(np.tile(np.arange(count), (ORDER_PERMUTATIONS, 1)), axis=1)
    null = np.abs(_half_circles(sums[order], sizes[order]) - 0.5).max(axis=1)
    spread = np.quantile(null, LEVEL) + 1e-9  # ties are equal up to rounding
    return _control(
        float(value),
        float(value - spread),
        float(value + spread),
        chance=0.5,
        what=f"AUROC between halves of the {which} images along the file order, the most unequal "
        f"of {count // 2} splits by patient",
    )


def _patients_in_order(
    groups: NDArray[np.str_], sample_ids: Sequence[str], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Number patients in natural order of a random image of each, for each image, shape (n,).

    The first image would not do: patients with many images would come early.
    """
    place = np.empty(len(groups), np.int64)
    place[sorted(range(len(groups)), key=lambda k: natural_key(sample_ids[k]))] = np.arange(
        len(groups)
    )
    shuffled = rng.permutation(len(groups))
    _, first, codes = np.unique(groups[shuffled], return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(place[shuffled[first]]))
    numbers = np.empty(len(groups), np.int64)
    numbers[shuffled] = rank[codes]
    return numbers


def _shares(score: NDArray[np.float64], strata: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rank each score within its stratum, as a share of the stratum's size, shape (n,)."""
    shares = np.empty(len(score))
    for stratum in np.unique(strata):
        chosen = strata == stratum
        shares[chosen] = midranks(score[chosen]) / chosen.sum()
    return shares


def _half_circles(sums: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """AUROC of each half circle of stretches, the later one in file order against the earlier.

    An AUROC is 1/2 plus the difference of the mean ranks, as shares of their number.

    Args:
        sums: Sum of the ranks (as shares) in each stretch, shape (b, count), count even.
        sizes: Number of images in each stretch, shape (b, count).

    Returns:
        Areas, shape (b, count / 2).
    """
    half = sums.shape[1] // 2

    def inside(values: NDArray[np.float64]) -> NDArray[np.float64]:
        summed = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
        return summed[:, half : 2 * half] - summed[:, :half]

    m, n = inside(sizes), sizes.sum(axis=1, keepdims=True)
    r, total = inside(sums), sums.sum(axis=1, keepdims=True)
    return np.asarray(0.5 + (total - r) / (n - m) - r / m)


def file_order(
    truth: NDArray[np.int64], groups: NDArray[np.str_], sample_ids: Sequence[str], seed: int
) -> Control | None:
    """Ask whether the order of the file names gives the truth away.

    Args:
        truth: Class positions, shape (n,).
        groups: Patient of each image, shape (n,).
        sample_ids: Image ids, n of them.
        seed: Seed of the permutations.

    Returns:
        How often neighbours in natural order, of different patients, share their truth; the
        interval is the spread under permuted truth, moved to the value. None without such pairs.
    """
    order = np.array(sorted(range(len(truth)), key=lambda k: natural_key(sample_ids[k])))
    differ = groups[order][1:] != groups[order][:-1]
    if not differ.any() or len(np.unique(truth)) < 2:
        return None
    value = _agreement(truth[None, order], differ)[0]
    permuted = Blocks.of(truth[order], groups[order]).permuted(ORDER_PERMUTATIONS, seed)
    null = np.concatenate([_agreement(labels, differ) for labels in permuted])
    low, high = np.quantile(null, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return _control(
        float(value),
        float(value + low - null.mean()),
        float(value + high - null.mean()),
        chance=float(null.mean()),
        what="share of neighbouring file names, of different patients, with the same truth",
    )


def _agreement(labels: NDArray[np.int64], differ: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of equal neighbours among the pairs that count, for each row of labels (b, n)."""
    return np.asarray((labels[:, 1:] == labels[:, :-1])[:, differ].mean(axis=1))


def _control(value: float, low: float, high: float, chance: float, what: str) -> Control:
    control: Control = plain(
        {
            "value": value,
            "low": low,
            "high": high,
            "chance": chance,
            "passed": bool(low <= chance <= high),
            "what": what,
        }
    )
    return control
